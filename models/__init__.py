"""Model bundles that this project's own code makes; fetched and exported bundles live in the data folder."""
