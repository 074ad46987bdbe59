"""A small index for tests, and what it means for two indexes to be equal."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.deam_index.music_index import MusicIndex


def sample_index(**changes: Any) -> MusicIndex:
    """Five windows of three songs, with what is given in `changes` in place."""
    index = MusicIndex(
        name="sample",
        points=np.array([[0.1, 0.2], [0.15, 0.2], [-0.5, 0.75], [-0.5, 0.5], [1.0, -1.0]], np.float32),
        start_s=np.array([15.0, 20.0, 0.0, 5.0, 0.0], np.float32),
        end_s=np.array([25.0, 30.0, 10.0, 15.0, 10.0], np.float32),
        song=np.array([0, 0, 1, 1, 2], np.int32),
        song_ids=("2", "piece-07", "čaj"),
        titles=("DEAM 2", "Seven", "Čaj [live] 🎵"),
        files=("2.mp3", "pieces/07.ogg", "čaj.ogg"),
        song_end_s=np.array([45.0, 44.5, 10.0], np.float32),
        reference_mean=ValenceArousal(0.077, 0.127),
        reference_sd=ValenceArousal(0.251, 0.283),
        reference_quantiles=np.array([[-0.8, -0.7], [0.1, 0.1], [0.7, 0.9]], np.float32),
        provenance={"source": "made up"},
    )
    return replace(index, **changes)


def assert_equal(a: MusicIndex, b: MusicIndex) -> None:
    for field in fields(MusicIndex):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if isinstance(left, np.ndarray):
            assert left.dtype == right.dtype, field.name
            np.testing.assert_array_equal(left, right, err_msg=field.name)
        else:
            assert left == right, field.name
