"""One engine on the GPU: context, buffers and stream, all touched by the one thread that made them.

Buffers are allocated once, at the largest T, page-locked on the host's side. A value that is the same, byte for byte,
as the one that lies on the GPU already is not copied again: so a frozen bank of masks crosses once, whoever holds it,
and nobody has to promise not to change an array. Comparing 64 x 1280 masks takes 24 us (measured on x86).

Failure of TensorRT is a None, a False or a list with something in it; each is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.errors import ModelError

from .cuda import CudaDevice


class InputError(ModelError):
    """What was given does not fit the engine, which is as well as before."""


@dataclass(slots=True)
class _Tensor:
    """One input or output: its bounds, and its buffers of the largest size."""

    name: str
    dtype: np.dtype[Any]
    least: tuple[int, ...]
    most: tuple[int, ...]
    host: NDArray[np.generic]
    address: int
    uploaded: tuple[int, ...] | None = None

    def view(self, shape: tuple[int, ...]) -> NDArray[np.generic]:
        """The part of the host's buffer that an array of this shape takes."""
        return self.host[: int(np.prod(shape, dtype=np.int64))].reshape(shape)

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a shape lies between the bounds, axis by axis."""
        return len(shape) == len(self.most) and all(
            low <= size <= high for low, size, high in zip(self.least, shape, self.most, strict=True)
        )

    def __str__(self) -> str:
        sizes = [f"{low}" if low == high else f"{low}..{high}" for low, high in zip(self.least, self.most, strict=True)]
        return f"{self.name} {self.dtype} [{', '.join(sizes)}]"


class TensorRTSession:
    """A deserialized engine with everything to run it. One thread makes, uses and closes it."""

    def __init__(self, trt: Any, logger: Any, plan: bytes, name: str, device: CudaDevice) -> None:
        """Load an engine and allocate for its largest inputs.

        Args:
            trt: the `tensorrt` module.
            logger: the process's ILogger.
            plan: the serialized engine, hash-checked by the caller.
            name: the bundle's name, for messages.
            device: the GPU; the session closes it.

        Raises:
            ModelError: it is another TensorRT's or another GPU's engine, or the GPU has not enough memory.
        """
        self._name = name
        self._device = device
        runtime = self._given(trt.Runtime(logger), "Runtime")
        # The runtime and the engine must outlive the context.
        self._engine = self._given(runtime.deserialize_cuda_engine(plan), "deserialize_cuda_engine")
        self._runtime = runtime
        self._context = self._given(self._engine.create_execution_context(), "create_execution_context")
        dtypes = {
            trt.DataType.FLOAT: np.float32,
            trt.DataType.HALF: np.float16,
            trt.DataType.UINT8: np.uint8,
            trt.DataType.INT32: np.int32,
            trt.DataType.INT64: np.int64,
        }
        names = [self._engine.get_tensor_name(number) for number in range(self._engine.num_io_tensors)]
        inputs = [n for n in names if self._engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        self.inputs = {n: self._input(n, dtypes) for n in inputs}
        for tensor in self.inputs.values():
            self._set_shape(tensor.name, tensor.most)
        self._infer_shapes()
        self.outputs = {n: self._output(n, dtypes) for n in names if n not in self.inputs}
        for tensor in (*self.inputs.values(), *self.outputs.values()):
            if not self._context.set_tensor_address(tensor.name, tensor.address):
                raise self._failed(f"set_tensor_address of {tensor.name}")

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """One inference.

        Raises:
            InputError: the inputs do not fit; another call may follow.
            ModelError: TensorRT or the GPU failed; none may follow.
        """
        self._check(inputs)
        for name, value in inputs.items():
            self._send(self.inputs[name], np.ascontiguousarray(value))
        self._infer_shapes()
        results = {name: tensor.view(self._output_shape(tensor)) for name, tensor in self.outputs.items()}
        if not self._context.execute_async_v3(self._device.stream):
            raise self._failed("execute_async_v3")
        for name, array in results.items():
            self._device.download(array, self.outputs[name].address)
        self._device.synchronize()
        # The buffers are written again by the next call.
        return {name: array.copy() for name, array in results.items()}

    def close(self) -> None:
        """Give back the GPU's memory: the context first, then what it stands on."""
        self._context = self._engine = self._runtime = None
        self.inputs, self.outputs = {}, {}
        self._device.close()

    def _check(self, inputs: Mapping[str, NDArray[np.generic]]) -> None:
        fitting = inputs.keys() == self.inputs.keys() and all(
            isinstance(value, np.ndarray) and value.dtype == tensor.dtype and tensor.fits(value.shape)
            for value, tensor in ((inputs[name], tensor) for name, tensor in self.inputs.items())
        )
        if not fitting:
            given = ", ".join(f"{key} {value.dtype} {list(value.shape)}" for key, value in inputs.items())
            wanted = ", ".join(str(tensor) for tensor in self.inputs.values())
            raise InputError(f"Model {self._name} failed: given: {given or 'nothing'}; its inputs: {wanted}")

    def _send(self, tensor: _Tensor, value: NDArray[np.generic]) -> None:
        shape = tuple(value.shape)
        if tensor.uploaded != shape:
            self._set_shape(tensor.name, shape)
        place = tensor.view(shape)
        if tensor.uploaded == shape and np.array_equal(_bytes(place), _bytes(value)):
            return
        # None of it counts as sent until it is.
        tensor.uploaded = None
        np.copyto(place, value)
        self._device.upload(tensor.address, place)
        tensor.uploaded = shape

    def _input(self, name: str, dtypes: Mapping[Any, Any]) -> _Tensor:
        shape = tuple(self._engine.get_tensor_shape(name))
        if -1 not in shape:
            return self._tensor(name, shape, shape, dtypes)
        bounds = self._engine.get_tensor_profile_shape(name, 0)
        if len(bounds) != 3:
            raise self._failed(f"get_tensor_profile_shape of {name}")
        least, _, most = (tuple(bound) for bound in bounds)
        return self._tensor(name, least, most, dtypes)

    def _output(self, name: str, dtypes: Mapping[Any, Any]) -> _Tensor:
        shape = tuple(self._context.get_tensor_shape(name))
        if any(size < 0 for size in shape):
            raise self._failed(f"the size of output {name}, {list(shape)}")
        return self._tensor(name, shape, shape, dtypes)

    def _output_shape(self, tensor: _Tensor) -> tuple[int, ...]:
        shape = tuple(self._context.get_tensor_shape(tensor.name))
        if len(shape) != len(tensor.most) or any(
            not 0 <= size <= most for size, most in zip(shape, tensor.most, strict=True)
        ):
            raise self._failed(f"the size of output {tensor.name}, {list(shape)} where {list(tensor.most)} fits")
        return shape

    def _tensor(self, name: str, least: tuple[int, ...], most: tuple[int, ...], dtypes: Mapping[Any, Any]) -> _Tensor:
        kind = self._engine.get_tensor_dtype(name)
        if kind not in dtypes:
            raise self._failed(f"the type of {name}, {kind}")
        dtype = np.dtype(dtypes[kind])
        # An empty buffer has no address.
        size = max(int(np.prod(most, dtype=np.int64)), 1)
        address = self._device.allocate(size * dtype.itemsize)
        return _Tensor(name, dtype, least, most, self._device.page_locked((size,), dtype), address)

    def _set_shape(self, name: str, shape: tuple[int, ...]) -> None:
        if not self._context.set_input_shape(name, shape):
            raise self._failed(f"set_input_shape of {name} to {list(shape)}")

    def _infer_shapes(self) -> None:
        try:
            open_ones = self._context.infer_shapes()
        except RuntimeError as cause:
            raise self._failed(f"infer_shapes ({cause})") from cause
        if open_ones:
            raise self._failed(f"infer_shapes (without a shape: {', '.join(open_ones)})")

    def _given(self, value: Any, step: str) -> Any:
        if value is None:
            raise self._failed(step)
        return value

    def _failed(self, step: str) -> ModelError:
        return ModelError(f"Model {self._name}: TensorRT failed at {step}.")


def _bytes(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    return array.reshape(-1).view(np.uint8)
