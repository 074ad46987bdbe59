"""How much of a library a mapping reaches: replays queries and looks where they land and what is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.errors import MissingExtraError

from .alignment import Alignment
from .music_index import MusicIndex

TOP = 20


@dataclass(frozen=True, slots=True)
class Coverage:
    """Figures of one replay.

    Attributes:
        mean_distance: from where a query lands to the window that was chosen, DEAM units.
        effective_songs: exp of the entropy of the songs' shares, in nats: as many songs, equally often chosen.
        top_share: share of the choices that fell on the TOP songs chosen most.
        inside_hull: share of the queries that land inside the convex hull of the windows.
        unanswered: queries without a choice.
    """

    mean_distance: float
    effective_songs: float
    top_share: float
    inside_hull: float
    unanswered: int


def landed(alignment: Alignment, queries: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where queries [n, 2] (FindingEmo units) land in the plane of music: float64 [n, 2]."""
    return np.array([alignment.to_music(ValenceArousal(*query)) for query in queries.tolist()], np.float64)


def replay(
    index: MusicIndex,
    targets: NDArray[np.float64],
    choose: Callable[[ValenceArousal], int | None],
    progress: Callable[[int, int], None] | None = None,
) -> Coverage:
    """Ask for a window for each target, in turn.

    Args:
        index: whose windows.
        targets: [n, 2], DEAM units.
        choose: gives the row of a window, or None; may remember what it chose.
        progress: called with queries done and in all, now and then.

    Raises:
        MissingExtraError: scipy is not installed; said before the first question.
    """
    inside = inside_hull(index.points, targets)
    rows = np.full(len(targets), -1, np.intp)
    for query, target in enumerate(targets.tolist()):
        row = choose(ValenceArousal(*target))
        rows[query] = -1 if row is None else row
        if progress is not None and query % 500 == 0:
            progress(query, len(targets))
    answered = rows >= 0
    distances = np.hypot(*(index.points[rows[answered]] - targets[answered]).T)
    counts = np.sort(np.bincount(index.song[rows[answered]], minlength=1))[::-1]
    shares = counts[counts > 0] / max(1, counts.sum())
    return Coverage(
        mean_distance=float(distances.mean()) if len(distances) else float("nan"),
        effective_songs=float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0,
        top_share=float(shares[:TOP].sum()),
        inside_hull=inside,
        unanswered=int((~answered).sum()),
    )


def inside_hull(points: NDArray[np.float32], targets: NDArray[np.float64]) -> float:
    """The share of targets inside the convex hull of points; 0 if these lie on a line.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    try:
        from scipy.spatial import ConvexHull, Delaunay, QhullError
    except ImportError as cause:
        raise MissingExtraError(
            "`index coverage` needs the package scipy, which is not installed.",
            mend="pip install 'emomusic-edge[library]'",
        ) from cause
    try:
        corners = points[ConvexHull(points).vertices]
        return float((Delaunay(corners).find_simplex(targets) >= 0).mean())
    except (QhullError, ValueError):
        return 0.0
