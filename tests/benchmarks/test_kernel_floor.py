"""What is timed as a model's convolutions is all of them, in their own shapes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort

from benchmarks.kernel_floor import convolutions_alone
from benchmarks.roofline_count import products_of


def residual_network() -> onnx.ModelProto:
    """A stem, a pooling, a block with a shortcut of its own: as ResNet begins, the last weights behind a scale."""
    weights = ", ".join(
        f"float[{shape}] {name}"
        for name, shape in (("w0", "8,3,3,3"), ("w1", "8,8,3,3"), ("w2", "16,8,3,3"), ("w3", "16,8,1,1"))
    )
    model = onnx.parser.parse_model(
        f"""<ir_version: 9, opset_import: ["": 18]>
        network (float[1,3,16,16] x) => (float[1,16,4,4] y)
        <{weights}> {{
          a = Conv <pads = [1, 1, 1, 1]> (x, w0)
          p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (a)
          b = Conv <pads = [1, 1, 1, 1]> (p, w1)
          c = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (b, w2)
          d = Conv <strides = [2, 2]> (p, w3)
          s = Add (c, d)
          y = Relu (s)
        }}"""
    )
    shapes = {"w0": (8, 3, 3, 3), "w1": (8, 8, 3, 3), "w2": (16, 8, 3, 3), "w3": (16, 8, 1, 1)}
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in shapes.items()
    )
    del model.graph.value_info[:]
    return model


def test_every_convolution_is_there_and_nothing_else() -> None:
    model = residual_network()
    alone = convolutions_alone(model)
    assert [node.op_type for node in alone.graph.node] == ["QLinearConv"] * 4
    whole = sorted((p.rows, p.inner, p.columns) for p in products_of(model, 1))
    assert sorted((p.rows, p.inner, p.columns) for p in products_of(alone, 1)) == whole


def test_it_runs() -> None:
    alone = convolutions_alone(residual_network())
    session = ort.InferenceSession(alone.SerializeToString(), providers=["CPUExecutionProvider"])
    given = {value.name: np.ones(value.shape, np.uint8) for value in session.get_inputs()}
    # The picture, and what the pooling made.
    assert sorted(value.shape for value in given.values()) == [(1, 3, 16, 16), (1, 8, 8, 8)]
    assert [answer.shape for answer in session.run(None, given)] == [(1, 8, 16, 16), (1, 16, 4, 4), (1, 16, 4, 4)]
