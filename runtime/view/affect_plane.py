"""Draws affect in characters: a bar for one axis and the valence-arousal plane, uncertainty as shading."""

from __future__ import annotations

import itertools
import math

from rich.text import Text

from emomusic_edge.affect import FINDINGEMO, RUSSELL_1980
from emomusic_edge.contracts import ValenceArousal

VALENCE_STYLE = "cyan"
AROUSAL_STYLE = "magenta"
HELD_STYLE = "yellow"
STALE_STYLE = "bright_black"
TARGET_STYLE = "green"
_LINE_STYLE = "bright_black"

_ONE_SD = "▓"
_TWO_SD = "░"
_POINT = "●"
_POINT_HELD = "○"
_TARGET = "◇"
_WALKED = "∙"
_PLANNED = "·"
_GOAL = "◆"


def axis_bar(mean: float | None, sd: float, low: float, high: float, width: int, *, style: str, held: bool) -> Text:
    """A scale from `low` to `high`, `width` cells wide: the mean as a point, one and two sd around it shaded.

    Args:
        mean: None draws the empty scale; a mean beyond the scale stands at its end.
        sd: in the scale's unit, >= 0.
        low: the value of the first cell.
        high: the value of the last cell.
        width: in cells, >= 3.
        style: of the point and its shade.
        held: draws the point hollow.
    """
    middle = (width - 1) // 2
    at = None if mean is None else _cell(mean, low, high, width)
    cells = []
    for place in range(width):
        value = low + (high - low) * place / (width - 1)
        distance = math.inf if mean is None else abs(value - mean) / max(sd, 1e-9)
        if place == at:
            cells.append((_POINT_HELD if held else _POINT, f"bold {style}"))
        elif distance <= 1.0:
            cells.append((_ONE_SD, style))
        elif distance <= 2.0:
            cells.append((_TWO_SD, style))
        else:
            cells.append(("┼" if place == middle else "─", _LINE_STYLE))
    return _line(cells)


def affect_plane(
    point: ValenceArousal | None,
    sd: ValenceArousal,
    *,
    held: bool = False,
    stale: bool = False,
    target: ValenceArousal | None = None,
    path: tuple[tuple[ValenceArousal, ...], int] | None = None,
    marks: tuple[tuple[str, ValenceArousal], ...] = (),
    width: int = 25,
    height: int = 11,
) -> Text:
    """The plane of FindingEmo units, valence to the right and arousal up, with the one- and two-sd ellipses shaded.

    Args:
        point: the stable affect; None draws the empty plane.
        sd: its standard deviation on each axis.
        held: draws the point hollow.
        stale: draws it grey.
        target: where the music leads, in the same units.
        path: the points that the music is led along, in the same units, and the place of the one it has come to.
        marks: single letters for what the models say, each with its place.
        width: in cells, odd so that there is a middle.
        height: in cells, odd.
    """
    low, high = FINDINGEMO.low, FINDINGEMO.high
    style = STALE_STYLE if stale else HELD_STYLE if held else VALENCE_STYLE
    cells = [[(" ", "")] * width for _ in range(height)]
    for row in range(height):
        cells[row][width // 2] = ("│", _LINE_STYLE)
    cells[height // 2] = [("─", _LINE_STYLE)] * width
    cells[height // 2][width // 2] = ("┼", _LINE_STYLE)
    if point is not None:
        for row in range(height):
            arousal = high.arousal - (high.arousal - low.arousal) * row / (height - 1)
            for column in range(width):
                valence = low.valence + (high.valence - low.valence) * column / (width - 1)
                distance = math.hypot(
                    (valence - point.valence) / max(sd.valence, 1e-9),
                    (arousal - point.arousal) / max(sd.arousal, 1e-9),
                )
                if distance <= 1.0:
                    cells[row][column] = ("▒", style)
                elif distance <= 2.0:
                    cells[row][column] = (_TWO_SD, style)
    _write_corners(cells)

    def put(place: ValenceArousal, char: str, its_style: str) -> None:
        column = _cell(place.valence, low.valence, high.valence, width)
        row = height - 1 - _cell(place.arousal, low.arousal, high.arousal, height)
        cells[row][column] = (char, its_style)

    if path is not None:
        points, at = path
        for number, place in enumerate(points):
            char = _GOAL if number == len(points) - 1 else _WALKED if number <= at else _PLANNED
            put(place, char, TARGET_STYLE)
    for letter, place in marks:
        put(place, letter, "bold")
    if target is not None:
        put(target, _TARGET, f"bold {TARGET_STYLE}")
    if point is not None:
        put(point, _POINT_HELD if held else _POINT, f"bold {style}")
    return Text("\n", no_wrap=True).join(_line(row) for row in cells)


def _line(cells: list[tuple[str, str]]) -> Text:
    # neighbours of one style in one piece: drawing costs by the piece
    pieces = (
        ("".join(char for char, _ in run), style) for style, run in itertools.groupby(cells, key=lambda cell: cell[1])
    )
    return Text.assemble(*pieces, no_wrap=True)


def _write_corners(cells: list[list[tuple[str, str]]]) -> None:
    """Name the four quadrants with Russell's (1980) concepts at 45 degrees."""
    upper_right, upper_left, lower_left, lower_right = RUSSELL_1980[1::2]
    for row, left, right in ((0, upper_left, upper_right), (-1, lower_left, lower_right)):
        line = cells[row]
        if len(left) + len(right) >= len(line):
            continue
        line[: len(left)] = [(char, f"italic {_LINE_STYLE}") for char in left]
        line[-len(right) :] = [(char, f"italic {_LINE_STYLE}") for char in right]


def _cell(value: float, low: float, high: float, width: int) -> int:
    if math.isnan(value):
        return 0
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return round(share * (width - 1))
