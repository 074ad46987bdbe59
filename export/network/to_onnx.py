"""PyTorch to ONNX: torch's own exporter, and what its graph must lose or gain to meet the bundle contract."""

from __future__ import annotations

import logging
import warnings

import onnx
import torch

from emomusic_edge.errors import ModelError

from .masked import MaskedRegressor

# torch's exporter writes 18 natively; TensorRT 10.3 takes 20 at most.
OPSET = 18
OUTPUTS = ("mean", "variance", "samples")
# What ONNX Runtime 1.23, the last with wheels for Python 3.10, reads.
IR_VERSION = 9


def onnx_from_network(network: MaskedRegressor, image_px: int) -> onnx.ModelProto:
    """Export a network.

    Args:
        network: on the CPU.
        image_px: height and width of `image`.

    Returns:
        Inputs `image`, `masks`; outputs `mean`, `variance`, `samples`; T is the only dynamic dimension.

    Raises:
        ModelError: torch's exporter fails.
    """
    image = torch.zeros(1, image_px, image_px, 3, dtype=torch.uint8)
    masks = torch.ones(2, network.mask_width)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (image, masks),
                dynamo=True,
                opset_version=OPSET,
                input_names=["image", "masks"],
                output_names=[f"answer_{name}" for name in OUTPUTS],
                dynamic_shapes={"image": None, "masks": {0: torch.export.Dim("T", min=1, max=4096)}},
                optimize=True,
                verbose=False,
            )
    except Exception as cause:
        raise ModelError(f"PyTorch {torch.__version__} could not export the network: {_first_line(cause)}") from cause
    if program is None:
        raise ModelError(f"PyTorch {torch.__version__} exported nothing.")
    model: onnx.ModelProto = program.model_proto
    return _bare(model)


def quiet_exporter() -> None:
    """Keep the exporter's own log from the screen: what matters of it comes as an error."""
    for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch._dynamo", "torch.export"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without what the exporter leaves of this machine and run: stack traces with paths, intermediate shapes."""
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version, model.doc_string = "pytorch", torch.__version__, ""
    del model.metadata_props[:]
    graph = model.graph
    graph.name, graph.doc_string = "affect", ""
    del graph.metadata_props[:]
    # Quantisation tools stumble over the declared shapes of inner tensors.
    del graph.value_info[:]
    # The exporter calls inner values by their operators, `mean` among them.
    names = {f"answer_{name}": name for name in OUTPUTS} | {name: f"inner_{name}" for name in OUTPUTS}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        node.doc_string = ""
        del node.metadata_props[:]
    for output in graph.output:
        output.name = names[output.name]
    for value in [*graph.input, *graph.output, *graph.initializer]:
        value.doc_string = ""
        del value.metadata_props[:]
    return model


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
