"""`emomusic-edge index plot`: draws the windows in the valence-arousal plane, and where people's feelings land."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emomusic_edge.cli.index_common import Audio, File, index_and_audio, say
from emomusic_edge.cli.run import CONFIG
from emomusic_edge.deam_index.alignment import DEFAULT_METHOD, AlignmentMethod

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from emomusic_edge.deam_index.music_index import MusicIndex

# Okabe & Ito, "Color Universal Design", 2008: told apart by colour-blind eyes and in print
_PLAYABLE = "#0072B2"
_MISSING = "#A0A0A0"
_QUERIES = "#D55E00"
_INK = "#222222"

_SUFFIXES = (".png", ".svg", ".pdf")
_DOTS_PER_INCH = 150
# More dots than this are a stain, and an .svg of megabytes.
_MOST_DOTS = 20_000


def plot(
    out: Annotated[Path, typer.Option("--out", help="The picture: .png, .svg or .pdf.", show_default=False)],
    file: File = None,
    audio: Audio = None,
    alignment: Annotated[AlignmentMethod, typer.Option(help="The mapping of people's affect.")] = DEFAULT_METHOD,
    queries: Annotated[int, typer.Option(min=0, max=100_000, help="How many queries to show landing.")] = 2_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw of queries.")] = 0,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Draw the windows in the plane, which of them can be played, and where queries land.

    Queries are drawn from FindingEmo's annotations, as `index coverage` does.

        emomusic-edge index plot my-music.npz --audio ~/Music --out plane.png
    """
    from rich.console import Console

    from emomusic_edge.artefacts import write_atomic
    from emomusic_edge.deam_index.alignment import Alignment
    from emomusic_edge.deam_index.audio_files import playable_files
    from emomusic_edge.deam_index.coverage import inside_hull, landed
    from emomusic_edge.deam_index.index_file import read_index
    from emomusic_edge.deam_index.people_queries import draw_queries
    from emomusic_edge.errors import ConfigError

    if out.suffix.lower() not in _SUFFIXES:
        raise ConfigError(
            f"--out {out} is of a kind that is not drawn; expected one of {', '.join(_SUFFIXES)}.",
            mend="--out plane.png",
        )
    path, roots = index_and_audio(file, audio, config)
    index = read_index(path)
    playable = playable_files(index, roots)
    drawn = draw_queries(queries, seed=seed)
    targets = landed(Alignment(index, alignment), drawn.points)
    figure = draw(index, playable, targets, alignment.value)
    picture = io.BytesIO()
    figure.savefig(picture, format=out.suffix.lower()[1:], dpi=_DOTS_PER_INCH)
    try:
        write_atomic(out, picture.getvalue())
    except OSError as cause:
        raise ConfigError(f"--out {out} cannot be written: {cause.strerror or cause}.") from cause
    console = Console()
    say(console, f"{int(playable.sum())} of {index.song_count} songs have their audio in {roots.folder}")
    if queries:
        say(console, f"{inside_hull(index.points, targets):.1%} of the queries land among the music. {drawn.source}")
    say(console, f"Wrote {out}.")


def draw(index: MusicIndex, playable: NDArray[np.bool_], targets: NDArray[np.float64], mapping: str) -> Figure:
    """The picture: the library on the left, queries over it on the right.

    Args:
        index: whose windows.
        playable: bool [S].
        targets: where queries land, [n, 2].
        mapping: its name.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    import numpy as np

    from emomusic_edge.errors import MissingExtraError

    try:
        from matplotlib.figure import Figure
    except ImportError as cause:
        raise MissingExtraError(
            "Drawing needs the package matplotlib, which is not installed.", mend="pip install 'emomusic-edge[plots]'"
        ) from cause
    generator = np.random.default_rng(0)
    rows = np.arange(index.window_count)
    if len(rows) > _MOST_DOTS:
        rows = np.sort(generator.choice(rows, _MOST_DOTS, replace=False))
    points, there = index.points[rows], playable[index.song[rows]]
    figure = Figure(figsize=(11.0, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    _plane(left, f"{index.name}: {index.window_count:,} windows of {index.song_count:,} songs")
    _dots(left, points[~there], _MISSING, f"audio missing ({_share(~playable)})")
    _dots(left, points[there], _PLAYABLE, f"playable ({_share(playable)})")
    _hull(left, index.points)
    _plane(right, f"where {len(targets):,} queries of people land: {mapping}")
    _dots(right, points, _MISSING, "windows")
    _dots(right, targets, _QUERIES, "queries")
    _hull(right, index.points)
    for axes in (left, right):
        legend = axes.legend(loc="lower right", fontsize=8, framealpha=0.9, markerscale=2)
        for handle in legend.legend_handles:
            handle.set(alpha=1.0, sizes=[30.0])
    return figure


def _plane(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10, color=_INK)
    axes.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), xlabel="valence", ylabel="arousal", aspect="equal")
    axes.axhline(0, color=_INK, linewidth=0.5, zorder=0)
    axes.axvline(0, color=_INK, linewidth=0.5, zorder=0)
    axes.tick_params(labelsize=8)
    for at, word in (((-1, 1), "tense"), ((1, 1), "joyful"), ((-1, -1), "sad"), ((1, -1), "calm")):
        side = "left" if at[0] < 0 else "right"
        if at != (1, -1):  # the legend's corner
            axes.text(*at, word, ha=side, va="top" if at[1] > 0 else "bottom", fontsize=8, color="#777777")


def _dots(axes: Axes, points: NDArray[Any], colour: str, label: str) -> None:
    if len(points):
        # a few hundred dots can be as large as they must to be seen, thousands would cover each other
        size = min(20.0, max(3.0, 6000 / len(points)))
        axes.scatter(points[:, 0], points[:, 1], s=size, color=colour, alpha=0.5, linewidths=0, label=label)


def _hull(axes: Axes, points: NDArray[Any]) -> None:
    from scipy.spatial import ConvexHull, QhullError

    try:
        corners = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):
        return
    axes.fill(corners[:, 0], corners[:, 1], fill=False, edgecolor=_INK, linewidth=0.8, linestyle="--")


def _share(songs: NDArray[np.bool_]) -> str:
    return f"{int(songs.sum()):,} of {len(songs):,} songs"
