from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

torch = pytest.importorskip("torch")

from small_networks import SMALL_PX, P, Small, prepared, without_numbers  # noqa: E402

from emomusic_edge.export.gates.parity import (  # noqa: E402
    BOUND,
    parity_gate,
    record_answers,
    record_own_answers,
    seeded_masks,
)
from emomusic_edge.export.pictures import PictureSets  # noqa: E402
from emomusic_edge.export.precision.int8 import int8_from_fp32  # noqa: E402
from emomusic_edge.export.session import cpu_session  # noqa: E402


@pytest.mark.parametrize("source", ["scene", "face"])
def test_the_graph_answers_what_pytorch_answers(
    source: str, scenes: PictureSets, request: pytest.FixtureRequest
) -> None:
    small: Small = request.getfixturevalue(f"small_{source}")
    gate = parity_gate(small.network, small.content, prepared(scenes), seeded_masks(64, small.mask_width, P))
    assert gate.state == "passed", gate.told
    assert set(gate.figures) == {
        f"{case}_max_abs_at_level_{level}" for case in ("deterministic", "sampled") for level in ("off", "all")
    }
    assert 0 < max(gate.figures.values()) <= BOUND


@pytest.mark.parametrize("source", ["scene", "face"])
def test_without_dropout_it_is_the_seed_model_itself(
    source: str, scenes: PictureSets, request: pytest.FixtureRequest
) -> None:
    """Past the package's own network: the class of the document, its picture normalised by plain arithmetic."""
    small: Small = request.getfixturevalue(f"small_{source}")
    mean, sd = {
        "scene": ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]),
        "face": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    }[source]
    session = cpu_session(small.content)
    for image in prepared(scenes)[:4]:
        pixels = ((image / 255.0 - mean) / sd).transpose(0, 3, 1, 2).astype(np.float32)
        with torch.no_grad():
            expected = small.seed_model.eval()(torch.from_numpy(pixels)).numpy()
        ones = np.ones((1, small.mask_width), np.float32)
        found = session.run(["samples"], {"image": image, "masks": ones})[0]
        np.testing.assert_allclose(found, expected, atol=BOUND)


def test_a_graph_that_drifted_fails(small_scene: Small, scenes: PictureSets) -> None:
    drifted = onnx.ModelProto()
    drifted.CopyFrom(small_scene.graph)
    for tensor in drifted.graph.initializer:
        if tensor.name.endswith("valence_head.8.bias"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.float32(2e-4), tensor.name))
    masks = seeded_masks(8, small_scene.mask_width, P)
    gate = parity_gate(small_scene.network, drifted.SerializeToString(), prepared(scenes)[:2], masks)
    assert gate.state == "failed"
    assert "bound 0.0001" in gate.told


def test_recorded_answers_are_the_graphs(small_scene: Small) -> None:
    record = record_answers(small_scene.network, SMALL_PX, P, 16)
    session = cpu_session(small_scene.content)
    for image, plain, samples in zip(
        record.images(SMALL_PX, SMALL_PX), record.deterministic, record.samples, strict=True
    ):
        found = session.run(["samples"], {"image": image, "masks": record.masks(P)})[0]
        np.testing.assert_allclose(found, samples, atol=BOUND)
        ones = np.ones((1, small_scene.mask_width), np.float32)
        np.testing.assert_allclose(session.run(["mean"], {"image": image, "masks": ones})[0], plain, atol=BOUND)
    assert set(np.unique(record.masks(P))) == {np.float32(0), np.float32(1 / (1 - P))}


def test_an_int8_graphs_own_answers_are_recorded_as_it_gives_them_unoptimised(
    small_face: Small, faces: PictureSets
) -> None:
    graph = int8_from_fp32(small_face.graph, prepared(faces)[:3]).SerializeToString()
    record = record_own_answers(graph, SMALL_PX, small_face.mask_width, P, 16)
    torch_record = record_answers(small_face.network, SMALL_PX, P, 16)
    assert record.kept == torch_record.kept
    plain, fast = (cpu_session(graph, optimise=optimise) for optimise in (False, True))
    apart = []
    for image, samples in zip(record.images(SMALL_PX, SMALL_PX), record.samples, strict=True):
        found, other = (
            session.run(["samples"], {"image": image, "masks": record.masks(P)})[0] for session in (plain, fast)
        )
        np.testing.assert_allclose(found, samples, atol=1e-6)
        apart.append(np.abs(other - samples).max())
    assert max(apart) > 1e-6, "the optimised graph rounds otherwise"
    assert np.abs(np.array(record.samples) - np.array(torch_record.samples)).max() > BOUND
    assert "graph itself" in record.reference


def test_the_graph_holds_nothing_of_this_machine(small_scene: Small, repo: object) -> None:
    content = small_scene.content
    assert str(repo).encode() not in content
    assert b"site-packages" not in content
    assert b"/home/" not in content


def test_a_graph_that_answers_no_number_fails(small_scene: Small, scenes: PictureSets) -> None:
    masks = seeded_masks(8, small_scene.mask_width, P)
    gate = parity_gate(small_scene.network, without_numbers(small_scene), prepared(scenes)[:2], masks)
    assert gate.state == "failed"
    assert "not a number" in gate.told
