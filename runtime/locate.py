"""Where the files are that the settings name: bundles, the music index, its audio, a calibration that fits them."""

from __future__ import annotations

from pathlib import Path

from emomusic_edge.artefacts import restore_interrupted
from emomusic_edge.config import Settings
from emomusic_edge.deam_index.audio_files import AudioRoots
from emomusic_edge.deam_index.loudness_file import loudness_file_of
from emomusic_edge.deam_index.roots_file import read_roots
from emomusic_edge.errors import IndexFileError, ModelError
from emomusic_edge.manifest import MANIFEST_NAME, MODEL_NAME, read_manifest
from emomusic_edge.paths import DataLayout, packaged_bundle, packaged_deam_index

from .calibration import AppliedCalibration, ModelHashes, read_calibration

MAKE_STARTERS = "emomusic-edge export starter"
MAKE_MUSIC = "emomusic-edge index starter-music"


def find_bundle(name_or_path: str, settings: Settings) -> Path:
    """The folder of a bundle: a path, a name in the data folder, or one that ships with the package.

    Raises:
        ModelError: there is none.
    """
    if "/" in name_or_path:
        return Path(name_or_path).expanduser()
    places = (DataLayout(settings.paths.data_dir).bundle(name_or_path), packaged_bundle(name_or_path))
    for place in places:
        restore_interrupted(place)
        if (place / MANIFEST_NAME).is_file():
            return place
    made = name_or_path.endswith("-starter") or name_or_path.startswith("blazeface-")
    raise ModelError(
        f"Model bundle {name_or_path} is neither in {places[0].parent} nor in the package.",
        mend=MAKE_STARTERS if made else "Name a bundle's folder, or one of those in that folder.",
    )


def model_hashes(settings: Settings) -> ModelHashes:
    """Of the face and the scene model that a run takes.

    Raises:
        ModelError: a bundle or its manifest is missing or broken.
    """
    face, scene = (
        read_manifest(find_bundle(name, settings)).files[MODEL_NAME]
        for name in (settings.models.face, settings.models.scene)
    )
    return ModelHashes(face, scene)


def applied_calibration(settings: Settings) -> AppliedCalibration:
    """The calibration of `music.person`, if it was made with the models of these settings.

    Raises:
        ConfigError: its file cannot be read, or is none.
        ModelError: there is one, and a model's bundle or manifest is missing or broken.
    """
    stored = read_calibration(DataLayout(settings.paths.data_dir).calibration(settings.music.person))
    if stored is None:
        return AppliedCalibration(None)
    reason = stored.made_with_others(model_hashes(settings))
    return AppliedCalibration(None if reason else stored, reason)


def index_file(settings: Settings) -> Path:
    """The music index: `starter`, `deam`, or a path.

    Raises:
        IndexFileError: the starter music was not made yet.
    """
    name = settings.music.index
    if name == "deam":
        return packaged_deam_index()
    if name != "starter":
        return Path(name).expanduser()
    path = DataLayout(settings.paths.data_dir).starter_index
    if not path.exists():
        raise IndexFileError(f"The starter music is not here: {path} is missing.", mend=MAKE_MUSIC)
    return path


def audio_folder(settings: Settings) -> Path:
    """The folder that the index's file names are relative to: as set, else where the index lies."""
    return settings.music.audio_dir or index_file(settings).parent


def audio_roots(settings: Settings) -> AudioRoots:
    """Where the audio is: that folder, and those that stand in a file beside a merged index.

    Raises:
        IndexFileError: that file cannot be read, or there is no index yet.
    """
    return AudioRoots(audio_folder(settings), read_roots(index_file(settings)))


def loudness_file(settings: Settings) -> Path:
    """What `emomusic-edge index loudness` measured: beside the index; for the bundled one, in the data folder."""
    index = index_file(settings)
    folder = settings.paths.data_dir if index == packaged_deam_index() else index.parent
    return folder / loudness_file_of(index).name
