"""Gate 1: the graph meets the bundle contract, and holds nothing that TensorRT 10.3 does not take."""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from emomusic_edge.errors import ModelError
from emomusic_edge.export.session import cpu_session
from emomusic_edge.made_pictures import made_picture
from emomusic_edge.manifest import GateRecord, Manifest

# TensorRT 10.3's parser takes opsets 9 to 20.
MOST_OPSET = 20

# Sampling belongs to the masks: ONNX Runtime removes Dropout, TensorRT refuses it or ignores the seed.
FORBIDDEN_OPERATORS = frozenset({"Dropout", "Bernoulli", "Multinomial"})
_FORBIDDEN_PREFIX = "Random"

# Of the operators that onnx-tensorrt's docs/operators.md lists as supported from 8.4 on (LayerNormalization: 8.6),
# those that a graph of ours could hold; what is restricted in some of them is checked below.
TENSORRT_OPERATORS = frozenset(
    {
        *("Abs", "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape"),
        *("Conv", "DepthToSpace", "DequantizeLinear", "Div", "Equal", "Erf", "Exp", "Expand", "Flatten", "Gather"),
        *("Gemm", "GlobalAveragePool", "Identity", "LayerNormalization", "LeakyRelu", "Log", "MatMul", "Max"),
        *("MaxPool", "Mean", "Min", "Mul", "Neg", "PRelu", "Pad", "Pow", "QuantizeLinear", "ReduceMax", "ReduceMean"),
        *("ReduceMin", "ReduceSum", "Relu", "Reshape", "Resize", "Shape", "Sigmoid", "Slice", "Softmax", "Split"),
        *("Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Tile", "Transpose", "Unsqueeze", "Where"),
    }
)

# Element type and shape of an input; None is a dimension that varies.
_Signature: TypeAlias = tuple[int, list[int | None]]

_OUTPUTS = {
    "mc_dropout": ("mean", "variance", "samples"),
    "closed_form": ("mean", "variance"),
    "detector": ("boxes", "scores"),
}


def contract_gate(model: onnx.ModelProto, manifest: Manifest, *, for_cpu: bool = False) -> GateRecord:
    """Hold a graph against the contract and, where it samples, see each mask at work.

    Args:
        model: the graph.
        manifest: of its bundle.
        for_cpu: it is the form for processors, which TensorRT is never given.

    Raises:
        ModelError: naming the first thing that breaks it; a graph that does cannot be judged further.
    """
    check_contract(model, manifest, for_cpu=for_cpu)
    figures = {"operators": float(len(model.graph.node)), "opset": float(manifest.opset)}
    told = f"{len(model.graph.node)} operators of {len(Counter(n.op_type for n in model.graph.node))} kinds"
    if manifest.mc_dropout is not None:
        figures["least_effect_of_a_mask"] = check_masks_work(model.SerializeToString(), manifest)
        told += f"; each of {len(manifest.mc_dropout.layout)} mask blocks moves mean and variance"
    return GateRecord(name="contract", state="passed", told=told, figures=figures)


def check_contract(model: onnx.ModelProto, manifest: Manifest, *, for_cpu: bool = False) -> None:
    """Hold a graph against the contract in the docstring of emomusic_edge.manifest.

    Args:
        model: the graph.
        manifest: of its bundle.
        for_cpu: it is the form for processors, which TensorRT is never given.

    Raises:
        ModelError: naming the first thing that breaks it.
    """
    name = manifest.name
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as cause:
        raise ModelError(f"Graph of {name} is not valid ONNX: {str(cause).splitlines()[0]}") from cause
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if set(opsets) != {""} or opsets[""] != manifest.opset or manifest.opset > MOST_OPSET:
        raise ModelError(
            f"Graph of {name} uses opsets {opsets}, its manifest says {manifest.opset}; at most {MOST_OPSET} is taken."
        )
    _check_sampling(model, name)
    if not for_cpu:
        _check_for_tensorrt(model, name)
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise ModelError(f"Graph of {name} keeps weights in another file, which a bundle may not do.")
    image = manifest.image
    inputs = {value.name: _signature(value) for value in model.graph.input}
    wanted: dict[str, _Signature] = {"image": (TensorProto.UINT8, [1, image.height_px, image.width_px, 3])}
    if manifest.mc_dropout is not None:
        wanted["masks"] = (TensorProto.FLOAT, [None, manifest.mc_dropout.mask_width])
    if inputs != wanted:
        raise ModelError(f"Graph of {name} has inputs {inputs}, the contract asks for {wanted}.")
    outputs = tuple(value.name for value in model.graph.output)
    if outputs != _OUTPUTS[manifest.kind]:
        raise ModelError(f"Graph of {name} has outputs {outputs}, a {manifest.kind} has {_OUTPUTS[manifest.kind]}.")
    if manifest.kind != "detector":
        told = {value.name: _signature(value) for value in model.graph.output}
        shapes: dict[str, list[int | None]] = {"mean": [2], "variance": [2], "samples": [None, 2]}
        asked = {output: (TensorProto.FLOAT, shapes[output]) for output in outputs}
        if told != asked:
            raise ModelError(f"Graph of {name} has outputs {told}, the contract asks for {asked}.")


def check_masks_work(model: bytes, manifest: Manifest) -> float:
    """See that every block of masks reaches the samples, and through them mean and variance.

    The features' block must move valence and arousal, a head's own block its own axis and no other.

    Returns:
        The least change of a mean or variance that dropping half of a block brought about, in FindingEmo units.

    Raises:
        ModelError: naming the block that has no effect, or has it on the wrong axis.
    """
    dropout = manifest.mc_dropout
    assert dropout is not None
    session = cpu_session(model)
    image = made_picture(1, manifest.image.height_px, manifest.image.width_px)
    rng = np.random.default_rng(0)
    # Every row has some of its units dropped, so that there is a variance to be moved.
    kept = (rng.random((16, dropout.mask_width)) < 1.0 - dropout.p) / (1.0 - dropout.p)
    base = session.run(["mean", "variance", "samples"], {"image": image, "masks": kept.astype(np.float32)})
    if not base[1].min() > 0:
        raise ModelError(f"Graph of {manifest.name} has variance {base[1].tolist()} over its samples; dropout is lost.")
    least = float("inf")
    for block in dropout.layout:
        changed = kept.copy()
        columns = slice(block.offset, block.offset + block.width)
        changed[::2, columns] = 1.0 - changed[::2, columns] * (1.0 - dropout.p)
        found = session.run(["mean", "variance", "samples"], {"image": image, "masks": changed.astype(np.float32)})
        moved = [np.abs(after - before) for after, before in zip(found, base, strict=True)]
        axes = [axis for axis, name in enumerate(("valence", "arousal")) if block.name.startswith((name, "features"))]
        for axis in axes or (0, 1):
            effect = min(float(moved[0][axis]), float(moved[1][axis]), float(moved[2][:, axis].max()))
            if not effect > 0:
                raise ModelError(f"Graph of {manifest.name}: the masks of {block.name} do not reach mean and variance.")
            least = min(least, effect)
        stray = [axis for axis in (0, 1) if axes and axis not in axes and moved[2][:, axis].max() > 1e-6]
        if stray:
            raise ModelError(f"Graph of {manifest.name}: the masks of {block.name} move the other axis too.")
    return least


def _check_sampling(model: onnx.ModelProto, name: str) -> None:
    for node in model.graph.node:
        if node.op_type in FORBIDDEN_OPERATORS or node.op_type.startswith(_FORBIDDEN_PREFIX):
            raise ModelError(f"Graph of {name} holds {_place(node)}: sampling must come from the masks.")


def _place(node: onnx.NodeProto) -> str:
    return f"{node.op_type} ({node.name or node.output[0]})"


def _check_for_tensorrt(model: onnx.ModelProto, name: str) -> None:
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        where = _place(node)
        if node.op_type not in TENSORRT_OPERATORS or node.domain not in ("", "ai.onnx"):
            raise ModelError(f"Graph of {name} holds {where}, which TensorRT 10.3 is not known to take.")
        if "image" in node.input and node.op_type != "Cast":
            raise ModelError(f"Graph of {name} gives `image` to {where}; TensorRT takes uint8 into a Cast alone.")
        if node.op_type in ("MaxPool", "LayerNormalization") and len([out for out in node.output if out]) > 1:
            raise ModelError(f"Graph of {name}: {where} has a second output, which TensorRT does not give.")
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero = constants.get(node.input[2]) if len(node.input) > 2 else None
            # Without one ONNX means uint8; TensorRT dequantises no int32.
            if zero is None or zero.data_type != TensorProto.INT8:
                raise ModelError(f"Graph of {name}: {where} has no constant int8 zero point, as TensorRT wants it.")
            if np.any(numpy_helper.to_array(zero)):
                raise ModelError(f"Graph of {name}: {where} has a zero point that is not 0; TensorRT wants symmetry.")


def _signature(value: onnx.ValueInfoProto) -> _Signature:
    tensor = value.type.tensor_type
    return tensor.elem_type, [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
