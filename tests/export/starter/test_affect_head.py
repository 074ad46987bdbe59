from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from emomusic_edge.export.bundle import IR_VERSION, OPSET
from emomusic_edge.export.starter.affect_head import FINDINGEMO_LABELS, append_affect_head, mixture_moments

LABELS = list(FINDINGEMO_LABELS.values())


@pytest.fixture(scope="module")
def session() -> ort.InferenceSession:
    graph = helper.make_graph(
        [helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1)],
        "classifier",
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, len(LABELS)])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, len(LABELS)])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return ort.InferenceSession(append_affect_head(model, "probabilities", LABELS).SerializeToString())


logits = st.lists(st.floats(-12, 12), min_size=len(LABELS), max_size=len(LABELS))


@given(logits)
def test_the_graph_agrees_with_sampling_formulas(session: ort.InferenceSession, values: list[float]) -> None:
    mean, variance = session.run(["mean", "variance"], {"logits": np.array([values], dtype=np.float32)})
    p = np.exp(np.array(values) - max(values))
    expected_mean, expected_variance = mixture_moments(list(p / p.sum()), LABELS)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-4)
    np.testing.assert_allclose(variance, expected_variance, atol=1e-3)


@given(logits)
def test_moments_stay_within_what_the_labels_allow(session: ort.InferenceSession, values: list[float]) -> None:
    mean, variance = session.run(["mean", "variance"], {"logits": np.array([values], dtype=np.float32)})
    for axis in (0, 1):
        means = [label.mean[axis] for label in LABELS]
        sds = [label.sd[axis] for label in LABELS]
        assert min(means) - 1e-4 <= mean[axis] <= max(means) + 1e-4
        assert min(sds) ** 2 - 1e-3 <= variance[axis] <= max(sds) ** 2 + ((max(means) - min(means)) / 2) ** 2 + 1e-3


def test_moments_are_those_of_draws_from_the_mixture() -> None:
    p = [0.1, 0.05, 0.05, 0.5, 0.1, 0.05, 0.15]
    mean, variance = mixture_moments(p, LABELS)
    rng = np.random.default_rng(0)
    which = rng.choice(len(LABELS), size=400_000, p=p)
    for axis in (0, 1):
        means = np.array([label.mean[axis] for label in LABELS])[which]
        sds = np.array([label.sd[axis] for label in LABELS])[which]
        draws = rng.normal(means, sds)
        assert draws.mean() == pytest.approx(mean[axis], abs=0.02)
        assert draws.var() == pytest.approx(variance[axis], abs=0.03)


def test_one_certain_class_gives_its_own_annotations_back() -> None:
    mean, variance = mixture_moments([0, 0, 0, 1, 0, 0, 0], LABELS)
    assert mean == pytest.approx((2.02, 3.04))
    assert variance == pytest.approx((0.86**2, 1.53**2))
