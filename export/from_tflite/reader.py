"""Read a TFLite flatbuffer into plain values: tensors with their constants made dense float32, operators with options.

The `tflite` package is the schema's accessors and nothing else: it checks no bound. Everything here is therefore
checked before it is believed, and whatever a damaged file makes the accessors raise becomes a ModelError.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from emomusic_edge.errors import ModelError

from .sparse_tensor import MAX_ELEMENTS, dense
from .vectors import indices

_IDENTIFIER = b"TFL3"

# What the accessors and numpy raise on offsets, lengths and enumerations that are not what they should be.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
    struct.error,
)

_TYPE_NAMES = {number: name for name, number in vars(tflite.TensorType).items() if isinstance(number, int)}
_OPERATOR_NAMES = {number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}
_DTYPES: dict[str, np.dtype[Any]] = {
    "FLOAT32": np.dtype("<f4"),
    "FLOAT16": np.dtype("<f2"),
    "INT8": np.dtype("i1"),
    "INT32": np.dtype("<i4"),
}


@dataclass(frozen=True, eq=False)
class TfliteTensor:
    """One tensor of the file.

    Attributes:
        name: as the file has it.
        shape: as the file has it (NHWC for pictures); all > 0.
        type_name: `FLOAT32`, `FLOAT16`, `INT8` or `INT32`.
        constant: None for an activation. Otherwise the values in `shape`: sparse ones made dense, float16 and
            quantised int8 as float32, int32 as int64.
    """

    name: str
    shape: tuple[int, ...]
    type_name: str
    constant: NDArray[Any] | None


@dataclass(frozen=True)
class TfliteOperator:
    """One operator: its kind (`CONV_2D`), the indices of its tensors (-1: left out) and the table of its options."""

    position: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, int | float]

    def __str__(self) -> str:
        """How to call it in messages."""
        return f"operator {self.position} ({self.kind})"


@dataclass(frozen=True)
class TfliteGraph:
    """The one subgraph of a file."""

    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


# The options of an operator that matter to its result, by the name of the accessor.
_OPTIONS: dict[str, tuple[type[Any], tuple[str, ...]]] = {
    "CONV_2D": (
        tflite.Conv2DOptions,
        ("Padding", "StrideH", "StrideW", "DilationHFactor", "DilationWFactor", "FusedActivationFunction"),
    ),
    "DEPTHWISE_CONV_2D": (
        tflite.DepthwiseConv2DOptions,
        ("Padding", "StrideH", "StrideW", "DilationHFactor", "DilationWFactor", "FusedActivationFunction"),
    ),
    "MAX_POOL_2D": (
        tflite.Pool2DOptions,
        ("Padding", "StrideH", "StrideW", "FilterHeight", "FilterWidth", "FusedActivationFunction"),
    ),
    "ADD": (tflite.AddOptions, ("FusedActivationFunction",)),
    "CONCATENATION": (tflite.ConcatenationOptions, ("Axis", "FusedActivationFunction")),
    "RESIZE_BILINEAR": (tflite.ResizeBilinearOptions, ("AlignCorners", "HalfPixelCenters")),
    "DEPTH_TO_SPACE": (tflite.DepthToSpaceOptions, ("BlockSize",)),
    "MEAN": (tflite.ReducerOptions, ("KeepDims",)),
    "SOFTMAX": (tflite.SoftmaxOptions, ("Beta",)),
    "RESHAPE": (tflite.ReshapeOptions, ()),
    "PAD": (tflite.PadOptions, ()),
    "RELU": (tflite.Conv2DOptions, ()),
    "DEQUANTIZE": (tflite.DequantizeOptions, ()),
    "DENSIFY": (tflite.Conv2DOptions, ()),
}
# Operators that may stand in a file without an options table, because they have none or none that matters.
_OPTIONS_MAY_LACK = frozenset(kind for kind, (_, names) in _OPTIONS.items() if not names) | {"MEAN"}


def read_tflite(content: bytes) -> TfliteGraph:
    """Parse a TFLite file.

    Args:
        content: the bytes of the file.

    Raises:
        ModelError: it is not a TFLite file, it is damaged, or it holds an operator or tensor type that the converter
            does not know; the message names it.
    """
    if len(content) < 8 or content[4:8] != _IDENTIFIER:
        raise ModelError(f"Not a TFLite file: the identifier {_IDENTIFIER.decode()} is expected at byte 4.")
    try:
        return _read(content)
    except _DAMAGE as cause:
        raise ModelError(f"The TFLite file is damaged, its tables do not hold together: {cause}.") from cause


def _read(content: bytes) -> TfliteGraph:
    model = tflite.Model.GetRootAsModel(content, 0)
    if model.Version() != 3:
        raise ModelError(f"TFLite schema version {model.Version()} found, 3 expected.")
    if model.SubgraphsLength() != 1:
        raise ModelError(f"{model.SubgraphsLength()} subgraphs found in the TFLite file, 1 expected.")
    subgraph = model.Subgraphs(0)
    # Each tensor and operator takes at least a four-byte offset: more of them than that cannot be.
    if subgraph.TensorsLength() * 4 > len(content) or subgraph.OperatorsLength() * 4 > len(content):
        raise ModelError("The TFLite file is damaged: it names more tensors or operators than it can hold.")
    tensors = tuple(_tensor(model, subgraph.Tensors(i)) for i in range(subgraph.TensorsLength()))
    operators = tuple(_operator(model, subgraph.Operators(i), i) for i in range(subgraph.OperatorsLength()))
    inputs, outputs = indices(subgraph.InputsAsNumpy()), indices(subgraph.OutputsAsNumpy())
    named = [index for operator in operators for index in (*operator.inputs, *operator.outputs) if index != -1]
    if any(not 0 <= index < len(tensors) for index in (*named, *inputs, *outputs)):
        raise ModelError("The TFLite file is damaged: an operator names a tensor that is not there.")
    return TfliteGraph(tensors, operators, inputs, outputs)


def _operator(model: Any, operator: Any, position: int) -> TfliteOperator:
    code = model.OperatorCodes(operator.OpcodeIndex())
    # Codes past 127 live in the wider field; the older, one-byte field then holds a placeholder.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    kind = _OPERATOR_NAMES.get(number, f"number {number}")
    if kind == "CUSTOM":
        name = (code.CustomCode() or b"").decode("utf-8", "replace")
        raise ModelError(
            f"Operator {position} of the TFLite file is a custom one, {name!r}; only built-in ones convert."
        )
    if kind not in _OPTIONS:
        raise ModelError(f"Operator {position} of the TFLite file is {kind}; known are {', '.join(sorted(_OPTIONS))}.")
    table_class, names = _OPTIONS[kind]
    table = operator.BuiltinOptions()
    if table is None and kind not in _OPTIONS_MAY_LACK:
        raise ModelError(f"Operator {position} of the TFLite file ({kind}) has no options.")
    options = table_class()
    if table is not None:
        options.Init(table.Bytes, table.Pos)
    values = {name: getattr(options, name)() if table is not None else 0 for name in names}
    return TfliteOperator(position, kind, indices(operator.InputsAsNumpy()), indices(operator.OutputsAsNumpy()), values)


def _tensor(model: Any, tensor: Any) -> TfliteTensor:
    name = (tensor.Name() or b"").decode("utf-8", "replace")
    type_name = _TYPE_NAMES.get(tensor.Type(), f"number {tensor.Type()}")
    if type_name not in _DTYPES:
        raise ModelError(f"TFLite tensor {name!r} is of type {type_name}; known are {', '.join(_DTYPES)}.")
    shape = () if tensor.ShapeIsNone() else indices(tensor.ShapeAsNumpy())
    if any(side < 1 for side in shape) or math.prod(shape) > MAX_ELEMENTS:
        raise ModelError(f"TFLite tensor {name!r} has shape {list(shape)}; fixed sizes above 0 are expected.")
    buffer = model.Buffers(tensor.Buffer())
    if buffer.Offset() > 1:
        raise ModelError(f"TFLite tensor {name!r} lies outside the flatbuffer, as in files over 2 GB; not supported.")
    if buffer.DataLength() == 0:
        return TfliteTensor(name, shape, type_name, None)
    values = np.frombuffer(buffer.DataAsNumpy().tobytes(), _DTYPES[type_name])
    sparsity = tensor.Sparsity()
    if sparsity is not None:
        values = dense(values, shape, sparsity, name)
    elif values.size != math.prod(shape):
        raise ModelError(f"TFLite tensor {name!r} holds {values.size} values, its shape {list(shape)} asks for others.")
    with np.errstate(over="ignore", invalid="ignore"):
        plain = _as_plain(values.reshape(shape), tensor, type_name, name)
    if not np.isfinite(plain).all():
        raise ModelError(f"The TFLite file is damaged: tensor {name!r} holds values that are not finite.")
    return TfliteTensor(name, shape, type_name, plain)


def _as_plain(values: NDArray[Any], tensor: Any, type_name: str, name: str) -> NDArray[Any]:
    if type_name == "INT32":
        return values.astype(np.int64)
    if type_name == "INT8":
        return _dequantised(values, tensor, name)
    return values.astype(np.float32)


def _dequantised(values: NDArray[Any], tensor: Any, name: str) -> NDArray[np.float32]:
    """The real values, scale * (quantised - zero point): one scale for all or one a slice of the quantised dimension.

    Source: the TFLite 8-bit quantisation specification.
    """
    quantisation = tensor.Quantization()
    if quantisation is None or quantisation.ScaleLength() == 0:
        raise ModelError(f"TFLite tensor {name!r} is INT8 without scales.")
    scale = np.asarray(quantisation.ScaleAsNumpy(), np.float32)
    zero = np.zeros(scale.size, np.float32)
    if quantisation.ZeroPointLength():
        zero = np.asarray(quantisation.ZeroPointAsNumpy(), np.float32)
    axis = int(quantisation.QuantizedDimension())
    if scale.size != zero.size or not 0 <= axis < values.ndim or scale.size not in (1, values.shape[axis]):
        raise ModelError(f"TFLite tensor {name!r}: {scale.size} scales do not fit its shape {list(values.shape)}.")
    along = [1] * values.ndim
    along[axis] = scale.size
    return np.asarray((values.astype(np.float32) - zero.reshape(along)) * scale.reshape(along), np.float32)
