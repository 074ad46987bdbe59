"""The pictures of `simulate`: what was sought and what played over time, and how the songs spread."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emomusic_edge.artefacts import write_atomic
from emomusic_edge.deam_index.alignment import Alignment, AlignmentMethod
from emomusic_edge.errors import ConfigError, MissingExtraError
from emomusic_edge.runtime.simulation.drive import SILENCE, Played
from emomusic_edge.runtime.simulation.figures import aligned, distances, spans_s

if TYPE_CHECKING:
    from emomusic_edge.deam_index.music_index import MusicIndex
    from emomusic_edge.runtime.simulation.series import AffectSeries

# Okabe & Ito, "Color Universal Design", 2008
_COLOURS = {"ours": "#0072B2", "seed": "#D55E00"}
_SOUGHT = "#8A8A8A"
_INK = "#222222"
_DOTS_PER_INCH = 110
_SHOWN_HOURS = 1.0


def draw(
    series: AffectSeries, index: MusicIndex, played: dict[str, Played], alignment: str, folder: Path
) -> tuple[Path, ...]:
    """Draw both pictures.

    Returns:
        The files: `music-over-time.png` (the first hour) and `music-spread.png`.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ConfigError: the folder cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as cause:
        raise MissingExtraError(
            "drawing the pictures needs matplotlib, which is not installed.", mend="pip install 'emomusic-edge[plots]'"
        ) from cause
    files = []
    for name, size, make in (
        ("music-over-time.png", (10.0, 2.6 * len(played) + 1.6), _over_time),
        ("music-spread.png", (10.0, 3.6), _spread),
    ):
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        make(figure, series, index, played, alignment)
        picture = io.BytesIO()
        # no date and no version in the file: equal figures give equal bytes
        figure.savefig(picture, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
        try:
            write_atomic(folder / name, picture.getvalue())
        except OSError as cause:
            raise ConfigError(
                f"--plots {folder} cannot be written: {cause.strerror or cause}.", mend="Name another folder."
            ) from cause
        files.append(folder / name)
    return tuple(files)


def _mapping(name: str, index: MusicIndex, alignment: str) -> Alignment:
    return Alignment(index, AlignmentMethod.LINEAR if name == "seed" else AlignmentMethod(alignment))


def _over_time(figure: Any, series: AffectSeries, index: MusicIndex, played: dict[str, Played], alignment: str) -> None:
    shown = series.t_s <= _SHOWN_HOURS * 3600
    minutes = series.t_s[shown] / 60
    axes = figure.subplots(2 * len(played), 1, sharex=True, squeeze=False)[:, 0]
    row = iter(axes)
    for name, plays in played.items():
        feeling = plays.stable if series.truth is None else series.truth
        target = aligned(feeling[shown], _mapping(name, index, alignment).to_music)
        sounds = plays.play[shown] != SILENCE
        music = np.full_like(target, np.nan)
        music[sounds] = plays.points[plays.play[shown][sounds]]
        for axis, label in enumerate(("valence", "arousal")):
            panel = next(row)
            panel.plot(minutes, target[:, axis], color=_SOUGHT, linewidth=1.2, label="sought")
            panel.plot(minutes, music[:, axis], color=_COLOURS[name], linewidth=2, label="plays")
            panel.set_ylabel(f"{label}\n(DEAM units)", fontsize=9, color=_INK)
            panel.set_ylim(-1.02, 1.02)
            panel.spines[["top", "right"]].set_visible(False)
            if axis == 0:
                panel.set_title(
                    {"ours": "Our rules", "seed": "The seed's rules"}[name], loc="left", fontsize=11, color=_INK
                )
                panel.legend(loc="upper right", ncols=2, frameon=False, fontsize=9)
    axes[-1].set_xlabel("minutes", color=_INK)
    axes[-1].set_xlim(minutes[0], minutes[-1])


def _spread(figure: Any, series: AffectSeries, index: MusicIndex, played: dict[str, Played], alignment: str) -> None:
    near, dwell, often = figure.subplots(1, 3)
    for name, plays in played.items():
        colour, label = _COLOURS[name], {"ours": "ours", "seed": "seed's"}[name]
        feeling = plays.stable if series.truth is None else series.truth
        apart = np.sort(distances(plays, aligned(feeling, _mapping(name, index, alignment).to_music)))
        apart = apart[np.isfinite(apart)]
        near.plot(apart[:: max(len(apart) // 500, 1)], _shares(len(apart[:: max(len(apart) // 500, 1)])), color=colour)
        spans = spans_s(plays, series.t_s)
        heard_s = np.sort((spans[:, 1] - spans[:, 0])[:-1])
        dwell.plot(heard_s, _shares(len(heard_s)), color=colour)
        counts = sorted(Counter(plays.songs).values(), reverse=True)
        often.plot(np.arange(1, len(counts) + 1), counts, color=colour, label=label)
    near.set_xlabel("distance, person to song (DEAM units)")
    near.set_xlim(0, 0.6)
    near.set_ylabel("share of the time")
    dwell.set_xlabel("a song sounds (seconds)")
    dwell.set_xlim(0, 80)
    dwell.set_ylabel("share of the songs")
    often.set_xlabel("song, most played first")
    often.set_ylabel("times played")
    often.set_xscale("log")
    often.legend(frameon=False, fontsize=9)
    for panel in (near, dwell, often):
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#EEEEEE")


def _shares(count: int) -> Any:
    return (np.arange(count) + 1) / max(count, 1)
