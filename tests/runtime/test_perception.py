"""A model that fails now and then: told while it does, and no flood in the journal."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pytest

from emomusic_edge.contracts import AffectEstimate, FaceBox, Frame, Image, Source, ValenceArousal
from emomusic_edge.errors import ModelError
from emomusic_edge.runtime.faces.primary import PrimaryFace
from emomusic_edge.runtime.perception import Perception
from emomusic_edge.runtime.scheduling import ScenePace
from emomusic_edge.runtime.timing import StageTimes


class NoFaces:
    def detect(self, image: Image) -> Sequence[FaceBox]:
        return ()


class EveryOther:
    """Fails on every other frame, with other words each time."""

    provider = "none"
    source: Source = "scene"

    def __init__(self) -> None:
        self.asked = 0

    def predict(self, image: Image) -> AffectEstimate:
        self.asked += 1
        if self.asked % 2:
            raise ModelError(f"Model odd failed for the {self.asked}th time")
        return AffectEstimate("scene", ValenceArousal(0.0, 3.0), ValenceArousal(0.1, 0.1), 0)


def test_a_model_that_fails_on_every_other_frame_is_told_and_logged_seldom(caplog: pytest.LogCaptureFixture) -> None:
    model = EveryOther()
    perception = Perception(NoFaces(), PrimaryFace(), model, 0.0, model, ScenePace())
    frame = Frame(0, 0.0, np.zeros((8, 8, 3), np.uint8))
    with caplog.at_level(logging.WARNING):
        for number in range(100):
            seen = perception.look(frame, StageTimes())
            assert bool(seen.estimates) is bool(number % 2)
            assert bool(perception.reason) is not bool(seen.estimates)
    assert len(caplog.records) == 1
