"""The music: the index, how many of its songs can be played, and a person's calibration."""

from __future__ import annotations

from collections.abc import Iterator

from emomusic_edge.config import Settings
from emomusic_edge.deam_index.alignment import other_people
from emomusic_edge.deam_index.audio_files import playable_files
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.errors import EmomusicError, IndexFileError, ModelError
from emomusic_edge.runtime.locate import applied_calibration, audio_folder, audio_roots, index_file
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
        if other := other_people(index):
            yield _about.warning(
                "alignment",
                f"{path} was made for other people than are assumed now ({other})",
                meaning="Feelings are taken to music by other statistics than those that stand in the index.",
                mend="Build the index again with `emomusic-edge index build`",
            )
        plays = playable_files(index, roots)
        missing = [file for file, playable in zip(index.files, plays.tolist(), strict=True) if not playable]
        yield _songs(index, missing, str(audio_folder(settings)), built_in=settings.music.index == "starter")
    yield from _calibration(settings)


def _calibration(settings: Settings) -> Iterator[Finding]:
    try:
        applied = applied_calibration(settings)
    except ModelError:
        return  # what is wrong with a model is told under Models
    except EmomusicError as error:
        yield _about.problem(
            "calibration", str(error).rstrip("."), meaning="No run starts with a broken one.", mend=error.mend
        )
        return
    if applied.reason:
        yield _about.warning(
            "calibration",
            applied.reason,
            meaning="Another model puts a neutral face elsewhere. The music follows the estimate as it is.",
            mend="Record it anew with `emomusic-edge calibrate`",
        )
    elif applied.calibration is not None:
        yield _about.ok("calibration", f"one for {applied.calibration.person} is applied")


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
