"""Title and artist of an audio file, from its own tags (mutagen), and its length, if the player decodes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emomusic_edge.errors import IndexFileError, MissingExtraError

from .deam_titles import plain


@dataclass(frozen=True, slots=True)
class Tags:
    """What a file tells of itself; empty texts where it does not.

    Attributes:
        length_s: of the sound, in seconds.
    """

    title: str
    artist: str
    length_s: float


def require_mutagen() -> None:
    """Make sure that tags can be read.

    Raises:
        MissingExtraError: they cannot.
    """
    try:
        import mutagen  # noqa: F401
    except ImportError as cause:
        raise MissingExtraError(
            "Reading tags needs the package mutagen, which is not installed.",
            mend="pip install 'emomusic-edge[library]'",
        ) from cause


def read_tags(path: Path) -> Tags:
    """Read one file: ID3, Vorbis comments and whatever else mutagen knows; no tags where it knows none.

    Raises:
        IndexFileError: libsndfile, with which it would be played, does not decode it: no audio, or audio of another
            format, such as AAC (.m4a), WMA or APE.
    """
    import mutagen
    import soundfile

    from emomusic_edge.sound_file import open_sound

    try:
        with open_sound(path) as sound:
            length_s = sound.frames / sound.samplerate
    except (soundfile.SoundFileError, OSError, RuntimeError, TypeError, ValueError) as cause:
        reason = str(cause).rpartition(": ")[2].rstrip(".")
        raise IndexFileError(f"{path.name} does not decode: {reason}", mend="Remove or replace it.") from cause
    if not 0.0 < length_s < 1e6:
        raise IndexFileError(f"{path.name} does not decode: its length is unknown", mend="Remove or replace it.")
    try:
        found = mutagen.File(path, easy=True)
    except (mutagen.MutagenError, OSError, ValueError, LookupError, TypeError, RecursionError):
        found = None
    return Tags(_tag(found, "title"), _tag(found, "artist"), length_s)


def _tag(found: object, name: str) -> str:
    try:
        values = found[name]  # type: ignore[index]
    except (KeyError, ValueError, TypeError):
        return ""
    return plain(", ".join(map(str, values)) if isinstance(values, list) else str(values))
