"""Title, artist and length of an audio file, from its own tags and header (mutagen)."""

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
    """Read one file: ID3, Vorbis comments, MP4 and whatever else mutagen knows.

    Raises:
        IndexFileError: it is no audio file.
    """
    import mutagen

    try:
        found = mutagen.File(path, easy=True)
    except (mutagen.MutagenError, OSError, ValueError, LookupError, TypeError, RecursionError) as cause:
        raise IndexFileError(f"{path} is not a readable audio file: {cause}.", mend="Remove or replace it.") from cause
    length_s = float(getattr(getattr(found, "info", None), "length", 0.0) or 0.0)
    if not 0.0 < length_s < 1e6:
        raise IndexFileError(
            f"{path} is not a readable audio file: its length is unknown.", mend="Remove or replace it."
        )
    return Tags(_tag(found, "title"), _tag(found, "artist"), length_s)


def _tag(found: object, name: str) -> str:
    try:
        values = found[name]  # type: ignore[index]
    except (KeyError, ValueError, TypeError):
        return ""
    return plain(", ".join(map(str, values)) if isinstance(values, list) else str(values))
