"""Records what LiteRT gives for the made pictures.

`python -m emomusic_edge.export.starter.record_parity` (extra: test). Run it when the pinned weights change, and
look at the difference in data/litert_reference.json.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from emomusic_edge.artefacts import write_atomic
from emomusic_edge.export.from_tflite.uint8_input import GREY_FROM_BGR
from emomusic_edge.fetch import fetch, fetched_bytes
from emomusic_edge.made_pictures import made_picture
from emomusic_edge.paths import default_cache_dir

from .affect_head import FINDINGEMO_LABELS, mixture_moments
from .bundles import STARTER_BUNDLES, StarterBundle
from .face import CLASSES
from .recorded_parity import PICTURES, REFERENCE_FILE, as_used, thinned


def with_float_weights(content: bytes) -> bytes:
    """The same TFLite file with its int8 weights written out as floats, by LiteRT's own schema.

    Given int8 weights, LiteRT quantises the activations too, anew for each picture; its two sets of kernels then
    differ from each other by up to 0.027 in a probability. With float weights they compute what the file says.
    """
    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if tensor.type == schema.TensorType.INT8 and data is not None:
            shape = [1] * len(tensor.shape)
            shape[tensor.quantization.quantizedDimension] = -1
            whole = np.asarray(data, np.uint8).view(np.int8).reshape(tensor.shape).astype(np.float32)
            whole -= np.asarray(tensor.quantization.zeroPoint, np.float32).reshape(shape)
            whole *= np.asarray(tensor.quantization.scale, np.float32).reshape(shape)
            model.buffers[tensor.buffer].data = np.frombuffer(whole.tobytes(), np.uint8)
            tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def litert_outputs(weights: bytes, inputs: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """LiteRT's outputs in the order of the file, from its own float kernels (no delegate).

    Args:
        weights: the TFLite file's content.
        inputs: float32 [1, H, W, C], normalised.
    """
    interpreter = Interpreter(
        model_content=weights,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]).copy() for detail in interpreter.get_output_details()]


def source_outputs(bundle: StarterBundle, weights: bytes, image: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    """What the source file says of one picture, brought to the bundle's outputs by plain numpy.

    Args:
        bundle: whose source.
        weights: its content.
        image: uint8 [1, H, W, 3] in the bundle's colour order.
    """
    if bundle.manifest.kind == "detector":
        found = litert_outputs(weights, (image.astype(np.float32) / 127.5 - 1.0).astype(np.float32))
        return {"boxes" if values.shape[-1] == 16 else "scores": values.astype(np.float64) for values in found}
    grey = image.astype(np.float64) @ np.asarray(GREY_FROM_BGR)
    (probabilities,) = litert_outputs(
        with_float_weights(weights), ((grey[..., None] / 255.0 - 0.5) * 2.0).astype(np.float32)
    )
    labels = [FINDINGEMO_LABELS[name] for name in CLASSES]
    mean, variance = mixture_moments([float(p) for p in probabilities[0]], labels)
    return {"mean": np.array(mean), "variance": np.array(variance)}


def record(cache_dir: Path) -> dict[str, object]:
    """The content of data/litert_reference.json."""
    records: dict[str, object] = {}
    for bundle in STARTER_BUNDLES:
        fetch(bundle.package, cache_dir)
        weights = fetched_bytes(bundle.package, bundle.weights_file, cache_dir)
        size = bundle.manifest.image
        outputs = []
        for number in range(PICTURES):
            found = source_outputs(bundle, weights, made_picture(number, size.height_px, size.width_px))
            used = {name: thinned(as_used(name, values, size.height_px)) for name, values in found.items()}
            outputs.append({name: [round(float(v), 7) for v in values] for name, values in used.items()})
        records[bundle.manifest.name] = {
            "weights_sha256": bundle.package.files[bundle.weights_file],
            "interpreter": f"LiteRT {version('ai-edge-litert')}",
            "outputs": outputs,
        }
    return records


if __name__ == "__main__":
    write_atomic(REFERENCE_FILE, json.dumps(record(default_cache_dir()), indent=1) + "\n")
