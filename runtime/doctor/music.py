"""The music: the index, how many of its songs can be played, and a person's calibration."""

from __future__ import annotations

from collections.abc import Iterator

from emomusic_edge.deam_index.audio_files import playable_files
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.errors import EmomusicError, IndexFileError
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.calibration import read_calibration
from emomusic_edge.runtime.locate import audio_folder, audio_roots, index_file
from emomusic_edge.trust import signature_check

from .finding import About, Finding
from .setup import Setup

_NAMED = 3
_about = About("music")


def look(setup: Setup) -> Iterator[Finding]:
    """Read the index as a run does, and look for each song's file.

    Args:
        setup: which index, and where the audio is.
    """
    settings = setup.settings
    try:
        path = index_file(settings)
        index = read_index(path, check=signature_check(path, settings.trust.allowed_signers, IndexFileError))
        roots = audio_roots(settings)
    except EmomusicError as error:
        yield _about.problem(
            "index", str(error).rstrip("."), meaning="No run starts without an index.", mend=error.mend
        )
    else:
        yield _about.ok(
            "index",
            f"{path}: {index.name}, {index.song_count:,} songs in {index.window_count:,} windows",
            path=str(path),
            songs=index.song_count,
            windows=index.window_count,
        )
        plays = playable_files(index, roots)
        missing = [file for file, playable in zip(index.files, plays.tolist(), strict=True) if not playable]
        yield _songs(index, missing, str(audio_folder(settings)), built_in=settings.music.index == "starter")
    try:
        calibration = read_calibration(DataLayout(settings.paths.data_dir).calibration(settings.music.person))
    except EmomusicError as error:
        yield _about.problem(
            "calibration", str(error).rstrip("."), meaning="No run starts with a broken one.", mend=error.mend
        )
    else:
        if calibration is not None:
            yield _about.ok("calibration", f"one for {calibration.person} is applied")


def _songs(index: MusicIndex, missing: list[str], folder: str, *, built_in: bool) -> Finding:
    count, lost = index.song_count, len(missing)
    if not missing:
        found = f"all {count:,} songs have their audio in {folder}"
        return _about.ok("songs", found, songs=count, playable=count, missing=0)
    named = ", ".join(missing[:_NAMED]) + (", …" if lost > _NAMED else "")
    found = f"{lost:,} of {count:,} songs have no audio file in {folder}: {named}"
    mend = "emomusic-edge index starter-music" if built_in else "Set music.audio_dir to the folder with the audio"
    if lost == count:
        meaning = "Nothing can be played: no run starts."
        return _about.problem("songs", found, meaning=meaning, mend=mend, songs=count, playable=0, missing=lost)
    return _about.warning(
        "songs",
        found,
        meaning="They are never chosen; the others play.",
        mend=mend if built_in else f"{mend}; `emomusic-edge index verify` lists them",
        songs=count,
        playable=count - lost,
        missing=lost,
    )
