"""The bundles that a fresh machine runs on: starter models and face detectors, converted and checked."""
