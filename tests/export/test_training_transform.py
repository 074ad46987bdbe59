from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import rule

from emomusic_edge.preprocess import prepare

pytest.importorskip("transformers")

from emomusic_edge.export.training_transform import HOST_RULES, trained_with

PHOTO = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)


@pytest.mark.parametrize("transform", HOST_RULES)
@given(st.integers(224, 512), st.integers(224, 512))
@settings(max_examples=40)
def test_the_hosts_rule_gives_the_picture_that_training_saw(transform: str, height: int, width: int) -> None:
    """On pictures of every size, odd ones too, pixel for pixel up to rounding."""
    picture = np.ascontiguousarray(PHOTO[:height, :width])
    found = prepare(picture, rule(transform, 224)).astype(int)
    wanted = trained_with(picture, transform, 224).astype(int)  # type: ignore[arg-type]
    assert found.shape == wanted.shape == (1, 224, 224, 3)
    apart = np.abs(found - wanted)
    assert apart.mean() < 0.3
    assert np.quantile(apart, 0.999) <= 1
