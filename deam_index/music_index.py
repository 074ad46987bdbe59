"""The music index as a value: windows of songs in the valence-arousal plane, and the rules they keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.affect import DEAM
from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.errors import IndexFileError

# What mends any index that is not usable.
MEND = "Build it again with `emomusic-edge index build`, or name another file with `[music] index` in the config."

# Number array -> (dtype in a file, shape; None is any length). The dtypes are those of MusicIndex, byte order pinned.
ARRAYS: Mapping[str, tuple[str, tuple[int | None, ...]]] = {
    "points": ("<f4", (None, 2)),
    "start_s": ("<f4", (None,)),
    "end_s": ("<f4", (None,)),
    "song": ("<i4", (None,)),
    "song_end_s": ("<f4", (None,)),
    "reference_quantiles": ("<f4", (None, 2)),
}


# Rows that are checked at once.
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class MusicIndex:
    """Windows of songs in the valence-arousal plane. N windows of S songs, in DEAM units (-1..1).

    The arrays and columns may lie in a mapped file: read-only, and loaded as they are touched.

    Attributes:
        name: "deam", "starter", or what its maker calls it.
        points: float32 [N, 2], the valence and arousal of each window.
        start_s, end_s: float32 [N], the window within its file, in seconds.
        song: int32 [N], the window's row in the song lists.
        song_ids: [S], unique.
        titles: [S], what to show a person: `Artist – Title` where both are known.
        files: [S], the audio file relative to the audio folder, with `/` between folders.
        song_end_s: float32 [S], where the sound of the file ends, in seconds.
        reference_mean, reference_sd: of the annotations that the windows come from; `standardise` maps onto them.
        reference_quantiles: float32 [Q, 2], Q >= 2 evenly spaced quantiles (0 to 1) of the same, for `quantile`.
        provenance: what it was made from; names and sha256 of the sources, the scale that their values were on,
            citation, licence.
        window_s, hop_s: the length of a window and the step to the next, in seconds; 0 where they are of several.
    """

    name: str
    points: NDArray[np.float32]
    start_s: NDArray[np.float32]
    end_s: NDArray[np.float32]
    song: NDArray[np.int32]
    song_ids: Sequence[str]
    titles: Sequence[str]
    files: Sequence[str]
    song_end_s: NDArray[np.float32]
    reference_mean: ValenceArousal
    reference_sd: ValenceArousal
    reference_quantiles: NDArray[np.float32]
    provenance: Mapping[str, str]
    window_s: float = 0.0
    hop_s: float = 0.0

    @property
    def window_count(self) -> int:
        """N."""
        return len(self.points)

    @property
    def song_count(self) -> int:
        """S."""
        return len(self.song_ids)

    def row_of(self, song_id: str) -> int | None:
        """The row of a song in the song lists; None if it is not there. About a millisecond for 200,000 songs."""
        try:
            return self.song_ids.index(song_id)
        except ValueError:
            return None


def check_index(index: MusicIndex, what: str) -> None:
    """Hold an index to its rules.

    At least one window; lengths that agree; `0 <= start_s < end_s <= song_end_s`; points, reference mean and
    quantiles within -1..1; reference sd above 0; quantiles that never fall; unique song ids; relative file names
    that stay inside the audio folder; no control characters in names.

    Args:
        index: of the dtypes and shapes that MusicIndex documents.
        what: how to name it in a message.

    Raises:
        IndexFileError: names the first rule that is broken, and where.
    """
    try:
        for check in _CHECKS:
            check(index)
    except BrokenRuleError as broken:
        raise IndexFileError(f"{what} breaks a rule of the music index: {broken}.", mend=MEND) from None


class BrokenRuleError(ValueError):
    """A rule that does not hold; its text goes into the message of an IndexFileError."""


def shape_text(shape: tuple[int | None, ...]) -> str:
    """`[n, 2]`: a shape as messages show it."""
    return "[" + ", ".join("n" if size is None else str(size) for size in shape) + "]"


def _check_arrays(index: MusicIndex) -> None:
    for member, (dtype, shape) in ARRAYS.items():
        array = getattr(index, member)
        if array.dtype != np.dtype(dtype):
            raise BrokenRuleError(f"{member} has dtype {array.dtype}, {np.dtype(dtype)} expected")
        if array.ndim != len(shape) or (array.ndim == 2 and array.shape[1] != shape[1]):
            raise BrokenRuleError(f"{member} has shape {array.shape}, {shape_text(shape)} expected")
        if array.dtype.kind == "f":
            for first in range(0, len(array), _CHUNK):
                broken = ~np.isfinite(array[first : first + _CHUNK])
                if broken.any():
                    raise BrokenRuleError(f"{member} row {first + int(np.argwhere(broken)[0, 0])} is not finite")
    windows = index.window_count
    if windows == 0:
        raise BrokenRuleError("it holds no window")
    for member in ("start_s", "end_s", "song"):
        if len(getattr(index, member)) != windows:
            raise BrokenRuleError(f"{member} has {len(getattr(index, member))} rows for {windows} windows")
    for member in ("titles", "files", "song_end_s"):
        if len(getattr(index, member)) != index.song_count:
            raise BrokenRuleError(f"{member} has {len(getattr(index, member))} rows for {index.song_count} songs")


def _check_windows(index: MusicIndex) -> None:
    for first in range(0, index.window_count, _CHUNK):
        rows = slice(first, first + _CHUNK)
        song, points, start_s, end_s = (array[rows] for array in (index.song, index.points, index.start_s, index.end_s))
        _no_row(song, (song < 0) | (song >= index.song_count), "song", "a row of the song lists", first)
        _no_row(points, (np.abs(points) > 1).any(axis=1), "points", "valence and arousal in -1..1", first)
        _no_row(start_s, start_s < 0, "start_s", "a second >= 0", first)
        _no_row(end_s, end_s <= start_s, "end_s", "a second after start_s", first)
        late = end_s > index.song_end_s[song]
        _no_row(end_s, late, "end_s", "a second no later than its song's song_end_s", first)
    if not (0 <= index.window_s < np.inf and 0 <= index.hop_s < np.inf):
        raise BrokenRuleError(f"window_s {index.window_s}, hop_s {index.hop_s}: seconds expected, or 0")


def _check_names(index: MusicIndex) -> None:
    if not index.name or _has_control(index.name):
        raise BrokenRuleError(f"name {index.name!r}: text without control characters expected")
    for row, (song_id, title, file) in enumerate(zip(index.song_ids, index.titles, index.files, strict=True)):
        for member, text in (("song_ids", song_id), ("titles", title), ("files", file)):
            if not text.isprintable() and _has_control(text):
                raise BrokenRuleError(f"{member} row {row} is {text!r}: text without control characters expected")
        if not song_id:
            raise BrokenRuleError(f"song_ids row {row} is empty")
        if not _stays_inside(file):
            raise BrokenRuleError(f"files row {row} is {file!r}: a path inside the audio folder expected")
    # hashes in an array take a tenth of a set of texts; equal ones are looked at themselves
    hashes = np.fromiter(map(hash, index.song_ids), np.int64, index.song_count)
    order = np.argsort(hashes, kind="stable")
    for place in np.flatnonzero(np.diff(hashes[order]) == 0).tolist():
        one, other = sorted(order[place : place + 2].tolist())
        if index.song_ids[one] == index.song_ids[other]:
            raise BrokenRuleError(f"song_ids row {other} is {index.song_ids[other]!r} again: each may stand there once")


def _check_reference(index: MusicIndex) -> None:
    if not DEAM.contains(index.reference_mean):
        raise BrokenRuleError(f"reference_mean is {tuple(index.reference_mean)}: -1..1 expected")
    if not all(0 < value <= 1 for value in index.reference_sd):
        raise BrokenRuleError(f"reference_sd is {tuple(index.reference_sd)}: above 0, at most 1 expected")
    quantiles = index.reference_quantiles
    if len(quantiles) < 2:
        raise BrokenRuleError(f"reference_quantiles has {len(quantiles)} rows: at least 2 expected")
    _no_row(quantiles, (np.abs(quantiles) > 1).any(axis=1), "reference_quantiles", "values in -1..1")
    falling = (np.diff(quantiles, axis=0) < 0).any(axis=1)
    _no_row(quantiles[1:], falling, "reference_quantiles", "values that never fall")


_CHECKS: tuple[Callable[[MusicIndex], None], ...] = (_check_arrays, _check_windows, _check_names, _check_reference)


def _no_row(
    values: NDArray[Any], broken: NDArray[np.bool_] | np.bool_, member: str, expected: str, first: int = 0
) -> None:
    if broken.any():
        row = int(np.argmax(broken))
        raise BrokenRuleError(f"{member} row {first + row} is {values[row].tolist()}: {expected} expected")


def _has_control(text: str) -> bool:
    """C0, DEL or C1: names go to terminals and MQTT, where these do more than show."""
    return any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in text)


def _stays_inside(file: str) -> bool:
    if file[:1] not in ("", "/", ".") and ".." not in file and "\\" not in file:
        return True
    path = PurePosixPath(file)
    return path.name not in ("", "..") and not path.is_absolute() and ".." not in path.parts and "\\" not in file
