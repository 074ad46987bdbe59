"""What the convolutions of a quantised model cost alone, against EfficientNet-B0: how far a goal can be met at all.

    .venv/bin/python -m benchmarks.kernel_floor face-reference-int8

No rewriting of the graph around them, and no preprocessing that costs nothing, makes a model faster than its own
convolutions in ONNX Runtime's int8 kernels. Three run in turns: the model at T = 20, its convolutions alone (each with
its own weights and shape, one after the other; no sums, no pooling, no heads), and EfficientNet-B0 in fp32, the network
of hsemotion-onnx, with random weights and without that package's preprocessing. B0 is exported with transformers (make
peer-torch). What enters and leaves the convolutions is turned from one layout into another, once each; that is counted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, shape_inference

from benchmarks.graph_turns import print_turns, session_run
from emomusic_edge.config import load_config
from emomusic_edge.made_pictures import made_picture
from emomusic_edge.model_file import open_bundle
from emomusic_edge.runtime.bench.measure import Effort
from emomusic_edge.runtime.locate import find_bundle
from emomusic_edge.runtime.predictors import MaskBank

SAMPLES = 20
_EFFICIENTNET = Path(__file__).with_name("efficientnet_b0.py")


def convolutions_alone(model: onnx.ModelProto) -> onnx.ModelProto:
    """The convolutions of a graph in int8, and nothing else.

    Each takes the result of the one before it of the shape that it needs; where none has that shape, an input of the
    graph. Weights are random int8, a scale for each filter, as the quantiser leaves them. Activations are uint8, which
    ONNX Runtime makes of int8 on x86; its kernel for int8 both ways took fifteen times as long there.

    Args:
        model: of fixed shapes but for T, with Conv nodes.

    Returns:
        A graph whose inputs and outputs are uint8 [1, C, H, W].
    """
    graph = shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: tuple(side.dim_value for side in value.type.tensor_type.shape.dim)
        for value in (*graph.value_info, *graph.input)
    }
    random = np.random.default_rng(0)
    constants: list[onnx.TensorProto] = []

    def constant(name: str, values: NDArray[Any]) -> str:
        constants.append(numpy_helper.from_array(values, name))
        return name

    scale, zero = constant("scale", np.float32(0.05)), constant("zero", np.uint8(128))
    nodes: list[onnx.NodeProto] = []
    newest: dict[tuple[int, ...], str] = {}
    inputs: dict[str, tuple[int, ...]] = {}
    for place, node in enumerate(node for node in graph.node if node.op_type == "Conv"):
        given, made, weights = shapes[node.input[0]], shapes[node.output[0]], shapes_of_weights(node, graph)
        if given not in newest:
            newest[given] = "in_" + "x".join(map(str, given))
            inputs[newest[given]] = given
        filters = weights[0]
        kernel = constant(f"w{place}", random.integers(-127, 128, weights).astype(np.int8))
        scales = constant(f"s{place}", np.full(filters, 0.01, np.float32))
        zeros = constant(f"z{place}", np.zeros(filters, np.int8))
        bias = constant(f"b{place}", np.zeros(filters, np.int32))
        kept = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        taken = [newest[given], scale, zero, kernel, scales, zeros, scale, zero, bias]
        nodes.append(helper.make_node("QLinearConv", taken, [f"y{place}"], name=f"y{place}", **kept))
        newest[made] = f"y{place}"
    read = {name for node in nodes for name in node.input}
    loose = [node.output[0] for node in nodes if node.output[0] not in read]
    alone = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info(name, TensorProto.UINT8, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.UINT8, None) for name in loose],
        constants,
    )
    made_model = helper.make_model(alone, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return shape_inference.infer_shapes(made_model, check_type=True)


def shapes_of_weights(node: onnx.NodeProto, graph: onnx.GraphProto) -> tuple[int, ...]:
    """The shape of a convolution's weights, which stand in the graph as they are or behind a DequantizeLinear."""
    constants = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    makers = {name: maker for maker in graph.node for name in maker.output}
    name = node.input[1]
    while name not in constants:
        name = makers[name].input[0]
    return constants[name]


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="name or folder of a bundle in int8")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each, at most (default 20)")
    parser.add_argument("--seconds", type=float, default=60.0, help="begin no pair of rounds after so long")
    arguments = parser.parse_args()
    manifest, model = open_bundle(find_bundle(arguments.bundle, load_config(None, {})))
    if manifest.precision != "int8" or manifest.mc_dropout is None:
        sys.exit(f"{manifest.name} is no affect model in int8: emomusic-edge export reference --precision int8")
    content = (model.for_cpu or model).content()
    alone = convolutions_alone(onnx.load_from_string(content))
    picture = made_picture(0, manifest.image.height_px, manifest.image.width_px)
    masks = MaskBank(manifest.mc_dropout, samples=SAMPLES, kind="frozen", seed=0).rows()
    given = {
        value.name: np.ones([side.dim_value for side in value.type.tensor_type.shape.dim], np.uint8)
        for value in alone.graph.input
    }
    with tempfile.TemporaryDirectory() as folder:
        peer = Path(folder) / "b0.onnx"
        if subprocess.run([sys.executable, str(_EFFICIENTNET), str(peer)], check=False).returncode != 0:
            sys.exit("EfficientNet-B0 could not be exported: make peer-torch")
        rival = peer.read_bytes()
    crop = np.zeros((1, 3, 224, 224), np.float32)
    runs = {
        "EfficientNet-B0, fp32": session_run(rival, "EfficientNet-B0", {"input": crop}),
        f"{manifest.name}, T = {SAMPLES}": session_run(content, manifest.name, {"image": picture, "masks": masks}),
        "its convolutions alone": session_run(alone.SerializeToString(), "convolutions", given),
    }
    print_turns(runs, "EfficientNet-B0, fp32", Effort(rounds=arguments.rounds, seconds=arguments.seconds))


if __name__ == "__main__":
    main()
