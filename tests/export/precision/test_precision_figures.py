from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from stub_models import HEADS, MASK_WIDTH, SIZE_PX, mc_dropout_graph, reference_samples

from emomusic_edge.errors import ModelError
from emomusic_edge.export.gates.precision import LEAST_PICTURES, PrecisionFigures, measure_precision

MASKS = np.ones((2, MASK_WIDTH), np.float32)


def pictures(count: int = LEAST_PICTURES) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    tints = rng.integers(0, 256, (count, 1, 1, 1, 3))
    return [np.broadcast_to(tint, (1, SIZE_PX, SIZE_PX, 3)).astype(np.uint8) for tint in tints]


def with_weights(axis: str, change: float | None) -> bytes:
    """The stub with the output weights of an axis scaled; None gives every picture the same answer."""
    model = mc_dropout_graph()
    weights = HEADS[axis][1]
    altered = np.zeros_like(weights) if change is None else (weights * np.float32(change)).astype(np.float32)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == f"{axis}_second")
    tensor.CopyFrom(numpy_helper.from_array(altered, tensor.name))
    return model.SerializeToString()


def measured(candidate: bytes, precision: str = "int8") -> PrecisionFigures:
    return measure_precision(mc_dropout_graph().SerializeToString(), candidate, pictures(), MASKS, precision)  # type: ignore[arg-type]


def test_a_graph_is_as_good_as_itself() -> None:
    figures = measured(mc_dropout_graph().SerializeToString(), "fp16")
    assert figures.failures() == ()
    assert figures.pictures == LEAST_PICTURES
    for axis in figures.mean.values():
        assert (axis.mean_abs, axis.max_abs) == (0.0, 0.0)
        assert axis.rank_correlation == pytest.approx(1.0)


def test_the_figures_are_those_of_the_formula() -> None:
    figures = measured(with_weights("valence", 1.5))
    answers = np.array([reference_samples(picture, MASKS).mean(axis=0) for picture in pictures()])
    assert figures.mean["valence"].mean_abs == pytest.approx(np.abs(0.5 * answers[:, 0]).mean(), rel=1e-4)
    assert figures.mean["valence"].max_abs == pytest.approx(np.abs(0.5 * answers[:, 0]).max(), rel=1e-4)
    assert figures.mean["arousal"].max_abs == 0.0


def test_a_graph_that_is_far_off_is_named_by_axis_and_bound() -> None:
    (failure,) = measured(with_weights("valence", 8.0)).failures()
    assert "valence" in failure
    assert "0.10" in failure


def test_the_bound_of_fp16_is_narrower() -> None:
    answers = np.array([reference_samples(picture, MASKS).mean(axis=0) for picture in pictures()])
    slightly = with_weights("valence", 1.0 + 0.05 / np.abs(answers[:, 0]).mean())
    assert measured(slightly, "int8").failures() == ()
    (failure,) = measured(slightly, "fp16").failures()
    assert "0.02" in failure


def test_another_order_is_named_though_the_values_are_near() -> None:
    figures = measured(with_weights("valence", -1.0))
    assert any("orders" in failure and "valence" in failure for failure in figures.failures())


def test_the_same_answer_for_every_picture_is_no_rank_correlation() -> None:
    figures = measured(with_weights("valence", None))
    assert figures.mean["valence"].rank_correlation == 0.0
    assert any("orders" in failure for failure in figures.failures())


def test_what_is_not_a_number_passes_no_bound() -> None:
    # mean, order and variance of the axis
    assert len(measured(with_weights("valence", float("nan"))).failures()) == 3


def test_too_few_pictures_are_refused() -> None:
    content = mc_dropout_graph().SerializeToString()
    with pytest.raises(ModelError, match=f"{LEAST_PICTURES}"):
        measure_precision(content, content, pictures(LEAST_PICTURES - 1), MASKS, "int8")


def test_a_graph_that_does_not_run_is_named() -> None:
    broken = mc_dropout_graph()
    broken.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(ModelError, match="int8"):
        measured(broken.SerializeToString())
    assert isinstance(broken, onnx.ModelProto)
