"""`emomusic-edge timeline`: draws the record of a run as a picture of valence and arousal over time."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from emomusic_edge.affect import FINDINGEMO
from emomusic_edge.artefacts import write_atomic
from emomusic_edge.errors import ConfigError, MissingExtraError
from emomusic_edge.runtime.record import Record, read_record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito, "Color Universal Design", 2008: told apart by colour-blind eyes and in print
_STABLE = "#0072B2"
_FACE = "#D55E00"
_SCENE = "#009E73"
_FUSED = "#8A8A8A"
_HELD = "#E69F00"
_HELD_SHADE = "#FCF4E0"
_SONGS = ("#CFE3F1", "#E4E4E4")
_INK = "#222222"

_SUFFIXES = (".png", ".svg", ".pdf")
_WIDTH_IN = 10.0
_HEIGHT_IN = 5.8
_DOTS_PER_INCH = 150
# of the labels' font, per character at the width above
_CHARACTER_SHARE = 0.0078


def timeline(
    record: Annotated[Path, typer.Argument(help="The CSV file that `run --record` wrote.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="The picture: .png, .svg or .pdf.", show_default=False)],
    title: Annotated[str, typer.Option("--title", help="A heading of your own.")] = "",
) -> None:
    """Draw the record of a run: what the models said, the steadied affect and its uncertainty, the songs."""
    if out.suffix.lower() not in _SUFFIXES:
        raise ConfigError(
            f"--out {out} is of a kind that is not drawn; expected one of {', '.join(_SUFFIXES)}.",
            mend="--out timeline.png",
        )
    figure = draw(read_record(record), title=title)
    picture = io.BytesIO()
    figure.savefig(picture, format=out.suffix.lower()[1:], dpi=_DOTS_PER_INCH)
    try:
        write_atomic(out, picture.getvalue(), mode=0o600)
    except OSError as cause:
        raise ConfigError(f"--out {out} cannot be written: {cause.strerror or cause}.") from cause
    typer.echo(f"Wrote {out}.")


def draw(record: Record, *, title: str = "") -> Figure:
    """The picture of a run.

    Args:
        record: at least one row.
        title: a heading; by default one that tells the run's length and how often there was a face.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as cause:
        raise MissingExtraError(
            "drawing a timeline needs matplotlib, which is not installed.", mend="pip install 'emomusic-edge[plots]'"
        ) from cause
    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    valence, arousal, strip = figure.subplots(3, 1, sharex=True, height_ratios=[10, 10, 3.2])
    t_s = record["t_s"]
    edges_s = _edges(t_s)
    for axes, axis, place in ((valence, "valence", 0), (arousal, "arousal", 1)):
        _draw_axis(axes, record, axis, edges_s)
        axes.set_ylim(FINDINGEMO.low[place] - 0.15, FINDINGEMO.high[place] + 0.15)
        axes.set_yticks(np.arange(FINDINGEMO.low[place], FINDINGEMO.high[place] + 1))
        axes.set_ylabel(f"{axis}\n({FINDINGEMO.low[place]:g} … {FINDINGEMO.high[place]:g})", color=_INK)
        axes.axhline((FINDINGEMO.low[place] + FINDINGEMO.high[place]) / 2, color="#BBBBBB", linewidth=0.8, zorder=1)
    _draw_strip(strip, record, edges_s)
    strip.set_xlabel("seconds", color=_INK)
    strip.set_xlim(edges_s[0], edges_s[-1])
    for axes in (valence, arousal, strip):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=_INK, labelsize=10)
    handles, labels = valence.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=10)
    valence.set_title(title or _heading(record), loc="left", fontsize=12, color=_INK)
    return figure


def uncertainty_of(record: Record, axis: str) -> NDArray[np.float64]:
    """The standard deviation of the stable value on an axis, float64 [rows]: that of the last accepted estimate.

    It is that of the fused estimate on the last row that was not held; NaN before the first.
    """
    accepted = (record[f"held_{axis}"] == 0) & np.isfinite(record[f"fused_{axis}_variance"])
    last = np.maximum.accumulate(np.where(accepted, np.arange(len(record)), -1))
    variance = np.where(last >= 0, record[f"fused_{axis}_variance"][np.maximum(last, 0)], np.nan)
    return np.where(np.isfinite(record[f"stable_{axis}"]), np.sqrt(variance), np.nan)


def spans(condition: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The runs of True in a bool [rows], as (first, behind the last)."""
    steps = np.flatnonzero(np.diff(np.concatenate(([False], condition, [False])).astype(np.int8)))
    return [(int(first), int(behind)) for first, behind in zip(steps[::2], steps[1::2], strict=True)]


def _draw_axis(axes: Axes, record: Record, axis: str, edges_s: NDArray[np.float64]) -> None:
    t_s, stable = record["t_s"], record[f"stable_{axis}"]
    for place, (first, behind) in enumerate(spans(record[f"held_{axis}"] == 1)):
        start_s, end_s = edges_s[first], edges_s[behind]
        axes.axvspan(start_s, end_s, color=_HELD_SHADE, linewidth=0, zorder=0)
        label = "held (too uncertain)" if place == 0 else None
        axes.axvspan(start_s, end_s, ymax=0.035, color=_HELD, linewidth=0, zorder=0, label=label)
    axes.plot(t_s, record[f"scene_{axis}"], color=_SCENE, linewidth=1, alpha=0.8, label="scene model", zorder=2)
    axes.plot(t_s, record[f"face_{axis}"], color=_FACE, linewidth=1, alpha=0.8, label="face model", zorder=2)
    axes.plot(t_s, record[f"fused_{axis}"], color=_FUSED, linewidth=1, linestyle=":", label="fused", zorder=3)
    sd = uncertainty_of(record, axis)
    axes.fill_between(t_s, stable - sd, stable + sd, color=_STABLE, alpha=0.18, linewidth=0, zorder=3)
    axes.plot(t_s, stable, color=_STABLE, linewidth=2.6, label="stable ± 1 sd", zorder=4)


def _draw_strip(axes: Axes, record: Record, edges_s: NDArray[np.float64]) -> None:
    for first, behind in spans(record["face"] == 1):
        axes.axvspan(edges_s[first], edges_s[behind], ymin=0.62, ymax=0.95, color=_FACE, linewidth=0)
    songs = np.array(record.songs)
    changes = [0, *(np.flatnonzero(songs[1:] != songs[:-1]) + 1).tolist(), len(songs)]
    whole_s = edges_s[-1] - edges_s[0]
    drawn = 0
    for first, behind in itertools.pairwise(changes):
        song = record.songs[first]
        if not song:
            continue
        start_s, end_s = edges_s[first], edges_s[behind]
        axes.axvspan(start_s, end_s, ymin=0.05, ymax=0.5, color=_SONGS[drawn % 2], linewidth=0)
        drawn += 1
        fits = int((end_s - start_s) / whole_s / _CHARACTER_SHARE) - 1
        label = song if len(song) <= fits else f"{song[: fits - 1]}…" if fits >= 4 else ""
        # a song's id is no formula, whatever dollar signs it holds
        axes.text(start_s, 0.27, f" {label}", va="center", fontsize=9, color=_INK, clip_on=True, parse_math=False)
    axes.set_ylim(0, 1)
    axes.set_yticks([0.27, 0.78], ["song", "face"])


def _edges(t_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where each row begins, and where the last ends: float64 [rows + 1]."""
    last_s = float(np.median(np.diff(t_s))) if len(t_s) > 1 else 1.0
    return np.append(t_s, t_s[-1] + max(last_s, 1e-3))


def _heading(record: Record) -> str:
    seconds = record["t_s"][-1] - record["t_s"][0]
    return f"{len(record)} frames in {seconds:.1f} s, a face on {100 * np.mean(record['face'] == 1):.0f} % of them"
