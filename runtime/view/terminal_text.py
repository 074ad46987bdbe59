"""Text from outside (song titles, a system's complaints) made safe for a terminal, and any text for an ASCII one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.segment import Segment

# what the live view draws with, for a terminal that knows no Unicode
_ASCII = str.maketrans(
    {
        "─": "-",
        "│": "|",
        "┼": "+",
        "░": ".",
        "▒": ":",
        "▓": "#",
        "●": "O",
        "○": "o",
        "◇": "x",
        "◆": "X",
        "∙": ",",
        "━": "=",
        "╸": "=",
        "♪": "~",
        "·": ",",
        "±": "~",
        "…": ".",
        "–": "-",
        "’": "'",
    }
)


def printable(text: str) -> str:
    """The text on one line, with control characters and escape sequences taken out of force."""
    return "".join(
        char if char.isprintable() else " " if char.isspace() else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def ascii_segments(segments: Iterable[Segment]) -> Iterator[Segment]:
    """The segments with every character replaced that plain ASCII cannot show."""
    for text, style, control in segments:
        if control:
            yield Segment(text, style, control)
        else:
            yield Segment(text.translate(_ASCII).encode("ascii", "replace").decode("ascii"), style)
