"""Looks whether an index and its audio are what they claim to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from emomusic_edge.errors import MissingExtraError

from .alignment import other_people, people_reference
from .audio_files import AudioRoots
from .csv_rows import SourceFile
from .music_index import MusicIndex

# DEAM's annotations end at 45.0 s, its shortest excerpt's sound at 44.64 s.
SLACK_S = 0.5

_HASH = "sha256 "


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as the index says.

    Attributes:
        what: the file or source.
        told: what is wrong with it.
        missing: whether it is only not there; such a song is never chosen.
    """

    what: str
    told: str
    missing: bool = False


def check_sources(index: MusicIndex, sources: Iterable[SourceFile]) -> Iterator[Problem]:
    """Compare source files with the hashes that the index holds."""
    recorded = {key[len(_HASH) :]: text for key, text in index.provenance.items() if key.startswith(_HASH)}
    for source in sources:
        if source.name not in recorded:
            yield Problem(source.shown, f"the index was not made from a file of this name ({', '.join(recorded)})")
        elif source.sha256 != recorded[source.name]:
            yield Problem(
                source.shown, f"sha256 {source.sha256[:16]}… found, {recorded[source.name][:16]}… in the index"
            )


def check_people(index: MusicIndex) -> Iterator[Problem]:
    """Compare the reference of people that the index was made with, with the one that mappings use now."""
    if other := other_people(index):
        told = f"the index was made for other people ({other}); mappings use {people_reference()}"
        yield Problem("reference statistics", told)


def check_audio(
    index: MusicIndex, roots: AudioRoots, progress: Callable[[int, int], None] | None = None
) -> Iterator[Problem]:
    """Look at each song's file: there, inside its folder, an audio file, and as long as the index says.

    Raises:
        MissingExtraError: soundfile is not installed.
    """
    try:
        import soundfile
    except ImportError as cause:
        raise MissingExtraError(
            "Looking into audio files needs the package soundfile, which is not installed.",
            mend="pip install 'emomusic-edge[library]'",
        ) from cause
    for song, file in enumerate(index.files):
        path = roots.path_of(file)
        if path is None:
            yield Problem(file, "is not there, or leads out of the audio folder", missing=True)
        else:
            try:
                length_s = float(soundfile.info(str(path)).duration)
            except (soundfile.SoundFileError, OSError, RuntimeError, TypeError) as cause:
                yield Problem(file, f"is not a readable audio file: {cause}")
            else:
                end_s = float(index.song_end_s[song])
                if length_s + SLACK_S < end_s:
                    yield Problem(file, f"has {length_s:.1f} s; the index says {end_s:.1f} s")
        if progress is not None:
            progress(song + 1, index.song_count)
