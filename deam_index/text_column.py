"""A column of texts that lie one after the other in a buffer and are decoded when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

# Texts decoded at once while iterating: a few hundred kilobytes.
_CHUNK = 4096

# Bytes looked through at once: a mapped file's texts never stand in memory as a whole.
_SLICE = 1 << 20


class TextColumn(Sequence[str]):
    """S texts in UTF-8, each followed by a null byte. Equal to any sequence of the same texts.

    200,000 song names as Python strings take some 20 MB; so they take what they take in the file, which may be mapped.

    Attributes:
        blob: uint8 [B], the texts.
        ends: int64 [S], where each text's null byte stands.
    """

    __slots__ = ("blob", "ends")

    def __init__(self, blob: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        """Wrap the two arrays.

        Raises:
            ValueError: they do not fit each other. What is between the null bytes is not looked at.
        """
        if len(blob) != (int(ends[-1]) + 1 if len(ends) else 0):
            raise ValueError(f"{len(blob)} bytes of text for {len(ends)} texts")
        if len(ends) and (ends[0] < 0 or (np.diff(ends) <= 0).any() or blob[ends].any()):
            raise ValueError("texts that do not follow each other, each with a null byte behind it")
        if sum(blob[begin : begin + _SLICE].tobytes().count(0) for begin in range(0, len(blob), _SLICE)) != len(ends):
            raise ValueError("a text holds a null byte")
        self.blob = blob
        self.ends = ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> TextColumn:
        """The column of some texts.

        Raises:
            UnicodeEncodeError: a text is not Unicode (a file name of odd bytes).
            ValueError: a text holds a null character.
        """
        encoded = [text.encode() for text in texts]
        lengths = np.fromiter((len(text) + 1 for text in encoded), np.int64, len(encoded))
        blob = b"".join(text + b"\0" for text in encoded)
        return cls(np.frombuffer(blob, np.uint8), np.cumsum(lengths) - 1)

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...

    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        if isinstance(row, slice):
            return tuple(self[one] for one in range(*row.indices(len(self))))
        count = len(self.ends)
        at = int(row)
        at = at + count if at < 0 else at
        if not 0 <= at < count:
            raise IndexError(f"row {row} of {count} texts")
        return self._decoded(at, at + 1)[0]

    def __iter__(self) -> Iterator[str]:
        for begin in range(0, len(self.ends), _CHUNK):
            yield from self._decoded(begin, min(begin + _CHUNK, len(self.ends)))

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and self._find(text) is not None

    def index(self, text: Any, start: int = 0, stop: int | None = None) -> int:
        """The row of a text, by one pass over the bytes: about a millisecond for 200,000 names.

        Raises:
            ValueError: it is not there.
        """
        row = self._find(text)
        if row is None or not start <= row < (len(self) if stop is None else stop):
            raise ValueError(f"{text!r} is not in the column")
        return row

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"TextColumn({', '.join(map(repr, self[:3]))}{', …' if len(self) > 3 else ''}; {len(self)} texts)"

    def _decoded(self, begin: int, end: int) -> list[str]:
        first = int(self.ends[begin - 1]) + 1 if begin else 0
        return str(self.blob[first : int(self.ends[end - 1])].tobytes(), "utf-8").split("\0")

    def _find(self, text: str) -> int | None:
        content = self.blob.tobytes()
        wanted = text.encode("utf-8", "surrogatepass") + b"\0"
        at = content.find(wanted)
        while at >= 0:
            if at == 0 or content[at - 1] == 0:
                return int(np.searchsorted(self.ends, at))
            at = content.find(wanted, at + 1)
        return None
