from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from stub_models import FEATURES, HIDDEN, mc_dropout_graph, mc_dropout_manifest

from emomusic_edge.errors import ModelError
from emomusic_edge.export.bundle import write_bundle
from emomusic_edge.export.gates.contract import (
    FORBIDDEN_OPERATORS,
    TENSORRT_OPERATORS,
    check_contract,
    check_masks_work,
    contract_gate,
)
from emomusic_edge.export.starter.bundles import STARTER_BUNDLES
from emomusic_edge.manifest import MaskBlock
from emomusic_edge.paths import packaged_bundle


def with_nodes(*nodes: onnx.NodeProto, constants: dict[str, np.ndarray] | None = None) -> onnx.ModelProto:
    """The stub with nodes that lead nowhere."""
    model = mc_dropout_graph()
    for node in reversed(nodes):
        model.graph.node.insert(1, node)
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in (constants or {}).items())
    return model


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Dropout", ["levels"], ["d"]),
        helper.make_node("Bernoulli", ["levels"], ["d"], dtype=TensorProto.FLOAT),
        helper.make_node("RandomUniform", [], ["d"], shape=[2]),
        helper.make_node("RandomUniformLike", ["levels"], ["d"]),
        helper.make_node("RandomNormal", [], ["d"], shape=[2]),
        helper.make_node("RandomNormalLike", ["levels"], ["d"]),
    ],
    ids=lambda node: node.op_type,
)
def test_no_sampling_node_gets_through(node: onnx.NodeProto, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=node.op_type):
        write_bundle(tmp_path / "b", with_nodes(node), mc_dropout_manifest())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("node", "told"),
    [
        (helper.make_node("DynamicQuantizeLinear", ["levels"], ["a", "b", "c"]), "not known to take"),
        (helper.make_node("Transpose", ["image"], ["turned"], perm=[0, 3, 1, 2]), "into a Cast alone"),
        (
            helper.make_node("MaxPool", ["levels"], ["a", "b"], kernel_shape=[1, 1]),
            "second output",
        ),
        (helper.make_node("QuantizeLinear", ["levels", "scale", "uint8 zero"], ["q"]), "int8 zero point"),
        (helper.make_node("QuantizeLinear", ["levels", "scale", "moved zero"], ["q"]), "symmetry"),
        (helper.make_node("QuantizeLinear", ["levels", "scale"], ["q"]), "int8 zero point"),
        (helper.make_node("DequantizeLinear", ["counts", "scale", "int32 zero"], ["q"]), "int8 zero point"),
    ],
)
def test_what_tensorrt_does_not_take_is_refused(node: onnx.NodeProto, told: str) -> None:
    constants = {
        "scale": np.float32(0.5),
        "uint8 zero": np.uint8(0),
        "moved zero": np.int8(3),
        "int32 zero": np.int32(0),
        "counts": np.zeros(3, np.int32),
    }
    model = with_nodes(node, constants={k: np.asarray(v) for k, v in constants.items()})
    with pytest.raises(ModelError, match=told):
        check_contract(model, mc_dropout_manifest())


def test_the_allow_list_and_the_forbidden_are_apart() -> None:
    assert not TENSORRT_OPERATORS & FORBIDDEN_OPERATORS
    assert not [name for name in TENSORRT_OPERATORS if name.startswith("Random")]


def test_an_opset_above_20_is_refused() -> None:
    model = mc_dropout_graph()
    for node in list(model.graph.node):
        if node.op_type == "ReduceMean":
            # valid in opset 21, where the axes are an input
            model.graph.initializer.append(
                numpy_helper.from_array(np.array(node.attribute[0].ints), f"{node.output[0]}_axes")
            )
            node.input.append(f"{node.output[0]}_axes")
            del node.attribute[0]
    model.opset_import[0].version = 21
    model.ir_version = 10
    with pytest.raises(ModelError, match="at most 20"):
        check_contract(model, mc_dropout_manifest())


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    model = mc_dropout_graph()
    path = tmp_path / "model.onnx"
    onnx.save(model, str(path), save_as_external_data=True, size_threshold=0, convert_attribute=False)
    with pytest.raises(ModelError, match=r"another file|not valid"):
        check_contract(onnx.load(str(path), load_external_data=False), mc_dropout_manifest())


def test_another_output_order_or_input_type_is_refused() -> None:
    model = mc_dropout_graph()
    outputs = list(model.graph.output)
    del model.graph.output[:]
    model.graph.output.extend(reversed(outputs))
    with pytest.raises(ModelError, match="outputs"):
        check_contract(model, mc_dropout_manifest())
    manifest = mc_dropout_manifest()
    wrong = manifest.model_copy(update={"image": manifest.image.model_copy(update={"height_px": 16})})
    with pytest.raises(ModelError, match="inputs"):
        check_contract(mc_dropout_graph(), wrong)


def test_outputs_of_another_shape_are_refused() -> None:
    model = mc_dropout_graph()
    for node in model.graph.node:
        if node.output[0] == "mean":
            next(a for a in node.attribute if a.name == "keepdims").i = 1
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1, 2]))
    model.graph.output[1].CopyFrom(helper.make_tensor_value_info("variance", TensorProto.FLOAT, [2]))
    with pytest.raises(ModelError, match="outputs"):
        check_contract(model, mc_dropout_manifest())


@pytest.mark.parametrize("bundle", STARTER_BUNDLES, ids=lambda bundle: bundle.manifest.name)
def test_the_starters_hold_the_allow_list(bundle: object, starter_layout: object) -> None:
    from emomusic_edge.manifest import read_bundle

    name = bundle.manifest.name  # type: ignore[attr-defined]
    manifest, content = read_bundle(starter_layout.bundle(name))  # type: ignore[attr-defined]
    assert contract_gate(onnx.load_model_from_string(content), manifest).state == "passed"


def test_the_packaged_bundle_holds_it() -> None:
    from emomusic_edge.manifest import read_bundle

    manifest, content = read_bundle(packaged_bundle("scene-starter"))
    assert contract_gate(onnx.load_model_from_string(content), manifest).state == "passed"


# Masks at work


def test_each_mask_moves_mean_and_variance() -> None:
    gate = contract_gate(mc_dropout_graph(), mc_dropout_manifest())
    assert gate.state == "passed"
    assert gate.figures["least_effect_of_a_mask"] > 0


@pytest.mark.parametrize("axis", ["valence", "arousal"])
def test_a_mask_without_effect_is_found(axis: str) -> None:
    model = mc_dropout_graph()
    for node in model.graph.node:
        if node.output[0] == f"{axis}_dropped":
            node.op_type = "Identity"
            node.input[:] = [f"{axis}_hidden"]
    with pytest.raises(ModelError, match=f"masks of {axis} do not reach"):
        check_masks_work(model.SerializeToString(), mc_dropout_manifest())


def test_masks_of_the_features_that_reach_one_head_alone_are_found() -> None:
    model = mc_dropout_graph()
    for node in model.graph.node:
        if node.output[0] == "arousal_linear":
            node.input[0] = "features"
    with pytest.raises(ModelError, match="features do not reach"):
        check_masks_work(model.SerializeToString(), mc_dropout_manifest())


def test_masks_laid_out_the_wrong_way_round_are_found() -> None:
    manifest = mc_dropout_manifest()
    assert manifest.mc_dropout is not None
    blocks = (
        MaskBlock(name="features", offset=0, width=FEATURES),
        MaskBlock(name="arousal", offset=FEATURES, width=HIDDEN),
        MaskBlock(name="valence", offset=FEATURES + HIDDEN, width=HIDDEN),
    )
    turned = manifest.model_copy(update={"mc_dropout": manifest.mc_dropout.model_copy(update={"layout": blocks})})
    with pytest.raises(ModelError, match="arousal do not reach"):
        check_masks_work(mc_dropout_graph().SerializeToString(), turned)


def test_a_graph_whose_dropout_was_lost_is_found() -> None:
    """As ONNX Runtime's removal of Dropout leaves it: all samples are one."""
    model = mc_dropout_graph()
    for node in model.graph.node:
        if node.op_type == "Mul" and any(name.endswith("_mask") for name in node.input):
            ones = "masks_to_ones"
            node.input[:] = [node.input[0], ones]
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 1), np.float32), "masks_to_ones"))
    with pytest.raises(ModelError, match="dropout is lost"):
        check_masks_work(model.SerializeToString(), mc_dropout_manifest())
