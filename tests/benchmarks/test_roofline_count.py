"""Multiply-adds and bytes against counts made by hand and against those published for the networks."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from benchmarks.roofline_count import Product, products_of


def graph(text: str, **weights: np.ndarray) -> onnx.ModelProto:
    model = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 18]> {text}')
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    return model


def only(model: onnx.ModelProto) -> Product:
    (product,) = products_of(model)
    return product


def test_a_matrix_product() -> None:
    product = only(graph("g (float[5,7] x) => (float[5,3] y) { y = MatMul(x, w) }", w=np.zeros((7, 3), np.float32)))
    assert (product.rows, product.inner, product.columns, product.count) == (5, 7, 3, 1)
    assert product.macs == 105
    assert (product.weight_bytes, product.activation_bytes) == (4 * 21, 4 * (35 + 15))
    assert product.kind == "fp32"


def test_t_rows_count_as_asked_for() -> None:
    model = graph("g (float[T,7] x) => (float[T,3] y) { y = MatMul(x, w) }", w=np.zeros((7, 3), np.float32))
    assert [products_of(model, samples)[0].macs for samples in (1, 64)] == [21, 64 * 21]


def test_a_convolution_with_groups_and_stride() -> None:
    # 8 channels in 2 groups to 6 channels, 3 x 3, places 5 x 5: 6 * 25 outputs of (8 / 2) * 9 multiply-adds each
    model = graph(
        "g (float[1,8,10,10] x) => (float[1,6,5,5] y)"
        " { y = Conv <group = 2, strides = [2, 2], pads = [1, 1, 1, 1]> (x, w) }",
        w=np.zeros((6, 4, 3, 3), np.float32),
    )
    product = only(model)
    assert product.macs == 6 * 25 * 36
    assert product.weight_bytes == 4 * 6 * 4 * 9


def test_a_depthwise_convolution() -> None:
    model = graph(
        "g (float[1,8,10,10] x) => (float[1,8,8,8] y) { y = Conv <group = 8> (x, w) }",
        w=np.zeros((8, 1, 3, 3), np.float32),
    )
    assert only(model).macs == 8 * 64 * 9


@given(rows=st.integers(1, 9), inner=st.integers(1, 9), columns=st.integers(1, 9), ta=st.booleans(), tb=st.booleans())
def test_gemm_however_its_factors_lie(rows: int, inner: int, columns: int, ta: bool, tb: bool) -> None:
    x = [inner, rows] if ta else [rows, inner]
    shape = (columns, inner) if tb else (inner, columns)
    model = graph(
        f"g (float{x} x) => (float[{rows},{columns}] y) {{ y = Gemm <transA = {int(ta)}, transB = {int(tb)}> (x, w) }}",
        w=np.zeros(shape, np.float32),
    )
    product = only(model)
    assert product.macs == rows * inner * columns
    assert (product.rows, product.inner, product.columns) == (rows, inner, columns)


def test_attention_has_no_weights_and_a_batch_has_one_weight() -> None:
    attention = only(graph("g (float[12,50,64] q, float[12,64,50] k) => (float[12,50,50] y) { y = MatMul(q, k) }"))
    assert (attention.macs, attention.weight_bytes, attention.count) == (12 * 50 * 64 * 50, 0, 12)
    batch = only(
        graph("g (float[2,50,64] x) => (float[2,50,8] y) { y = MatMul(x, w) }", w=np.zeros((64, 8), np.float32))
    )
    assert (batch.macs, batch.rows, batch.count) == (2 * 50 * 64 * 8, 100, 1)


INT8 = {
    "between DequantizeLinear": graph(
        "g (float[5,7] x) => (float[5,3] y) { q = QuantizeLinear(x, s, zu) d = DequantizeLinear(q, s, zu)"
        " e = DequantizeLinear(w, s, zs) y = MatMul(d, e) }",
        w=np.zeros((7, 3), np.int8),
        s=np.float32(0.1),
        zu=np.uint8(0),
        zs=np.int8(0),
    ),
    "MatMulInteger": graph(
        "g (uint8[5,7] x) => (int32[5,3] y) { y = MatMulInteger(x, w) }", w=np.zeros((7, 3), np.int8)
    ),
    "QLinearMatMul": graph(
        "g (uint8[5,7] x) => (uint8[5,3] y) { y = QLinearMatMul(x, s, zu, w, s, zs, s, zu) }",
        w=np.zeros((7, 3), np.int8),
        s=np.float32(0.1),
        zu=np.uint8(0),
        zs=np.int8(0),
    ),
}


@pytest.mark.parametrize("form", INT8)
def test_quantised_products(form: str) -> None:
    product = only(INT8[form])
    assert (product.kind, product.macs, product.weight_bytes) == ("int8", 105, 21)
    output_bytes = 1 if form == "QLinearMatMul" else 4
    assert product.activation_bytes == 35 + output_bytes * 15


def test_float_weights_kept_as_int8_are_not_an_int8_product() -> None:
    model = graph(
        "g (float[5,7] x) => (float[5,3] y) { e = DequantizeLinear(w, s) y = MatMul(x, e) }",
        w=np.zeros((7, 3), np.int8),
        s=np.float32(0.1),
    )
    assert (only(model).kind, only(model).weight_bytes) == ("fp32", 21)


def test_a_shape_that_is_not_known_is_told() -> None:
    model = graph("g (float[n] x, int64[2] s) => (float[a,b] y) { r = Reshape(x, s) y = MatMul(r, r) }")
    with pytest.raises(ValueError, match="the shape of r is not known"):
        products_of(model)


# The networks as published, built node by node: torchvision tells 1.81 GMAC for ResNet-18 and 4.41 for ViT-B/32.


class Builder:
    def __init__(self, **inputs: list[int]) -> None:
        self.nodes, self.weights = [], []
        self.inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()]

    def add(self, op: str, *inputs: str, weight: tuple[int, ...] | None = None, **attributes: object) -> str:
        output = f"v{len(self.nodes)}"
        names = list(inputs)
        if weight is not None:
            names.append(f"w{len(self.nodes)}")
            self.weights.append(numpy_helper.from_array(np.zeros(weight, np.float32), names[-1]))
        self.nodes.append(helper.make_node(op, names, [output], **attributes))
        return output

    def model(self, output: str, shape: list[int]) -> onnx.ModelProto:
        outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)]
        made = helper.make_graph(self.nodes, "g", self.inputs, outputs, self.weights)
        return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])


def resnet_18() -> onnx.ModelProto:
    build = Builder(x=[1, 3, 224, 224])

    def convolution(x: str, before: int, after: int, kernel: int, stride: int) -> str:
        pads = [kernel // 2] * 4
        return build.add("Conv", x, weight=(after, before, kernel, kernel), strides=[stride] * 2, pads=pads)

    x = convolution("x", 3, 64, 7, 2)
    x = build.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    before = 64
    for width in (64, 128, 256, 512):
        for block in range(2):
            stride = 2 if width > 64 and block == 0 else 1
            y = convolution(convolution(x, before, width, 3, stride), width, width, 3, 1)
            x = build.add("Add", y, x if before == width else convolution(x, before, width, 1, stride))
            before = width
    x = build.add("Flatten", build.add("GlobalAveragePool", x))
    return build.model(build.add("Gemm", x, weight=(1000, 512), transB=1), [1, 1000])


def vit_b_32() -> onnx.ModelProto:
    build = Builder(x=[1, 3, 224, 224], tokens=[50, 768])
    build.add("Conv", "x", weight=(768, 3, 32, 32), strides=[32, 32])
    x = "tokens"
    for _ in range(12):
        q, k, v = (build.add("Reshape", build.add("MatMul", x, weight=(768, 768)), "heads") for _ in range(3))
        q, k, v = (build.add("Transpose", q, perm=p) for q, p in ((q, [1, 0, 2]), (k, [1, 2, 0]), (v, [1, 0, 2])))
        y = build.add("MatMul", build.add("Softmax", build.add("MatMul", q, k)), v)
        y = build.add("Reshape", build.add("Transpose", y, perm=[1, 0, 2]), "width")
        x = build.add("Add", x, build.add("MatMul", y, weight=(768, 768)))
        y = build.add("MatMul", build.add("MatMul", x, weight=(768, 3072)), weight=(3072, 768))
        x = build.add("Add", x, y)
    for name, shape in (("heads", [50, 12, 64]), ("width", [50, 768])):
        build.weights.append(numpy_helper.from_array(np.array(shape, np.int64), name))
    first = build.add("Slice", x, "zero", "one", "zero")
    build.weights.append(numpy_helper.from_array(np.array([0], np.int64), "zero"))
    build.weights.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    return build.model(build.add("Gemm", first, weight=(1000, 768), transB=1), [1, 1000])


@pytest.mark.parametrize(
    ("model", "gmacs", "weights"), [(resnet_18(), 1.814, 11.68e6), (vit_b_32(), 4.41, 88.2e6)], ids=["ResNet-18", "ViT"]
)
def test_published_networks(model: onnx.ModelProto, gmacs: float, weights: float) -> None:
    products = products_of(model)
    assert sum(product.macs for product in products) / 1e9 == pytest.approx(gmacs, rel=2e-3)
    # all parameters, less biases and normalisations
    assert sum(product.weight_bytes for product in products) / 4 == pytest.approx(weights, rel=5e-3)
