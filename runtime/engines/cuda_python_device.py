"""CUDA through NVIDIA's cuda-python (its wheel cuda-bindings), where pycuda is missing: no other module imports it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from cuda.bindings import runtime as cuda
from numpy.typing import DTypeLike, NDArray

from emomusic_edge.errors import ModelError


class CudaPythonDevice:
    """Implements cuda.CudaDevice. The runtime API works on the primary context by itself.

    Every call returns a tuple that begins with an error code; without a driver that code is
    cudaErrorInsufficientDriver (ran, cuda-bindings 12.9.10).
    """

    def __init__(self) -> None:
        """Take the first GPU.

        Raises:
            ModelError: CUDA refuses.
        """
        self._memory: list[int] = []
        self._host: list[int] = []
        self._open = True
        _call("cudaSetDevice", 0)
        self._stream = int(_call("cudaStreamCreateWithFlags", cuda.cudaStreamNonBlocking))

    @property
    def stream(self) -> int:
        """The stream's handle."""
        return self._stream

    def allocate(self, nbytes: int) -> int:
        """See CudaDevice."""
        address = int(_call("cudaMalloc", nbytes))
        self._memory.append(address)
        return address

    def page_locked(self, shape: Sequence[int], dtype: DTypeLike) -> NDArray[np.generic]:
        """See CudaDevice."""
        kind = np.dtype(dtype)
        nbytes = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        address = int(_call("cudaHostAlloc", nbytes, cuda.cudaHostAllocDefault))
        self._host.append(address)
        buffer = (ctypes.c_uint8 * nbytes).from_address(address)
        array: NDArray[np.generic] = np.ctypeslib.as_array(buffer).view(kind).reshape(tuple(shape))
        return array

    def upload(self, target: int, source: NDArray[np.generic]) -> None:
        """See CudaDevice."""
        kind = cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        _call("cudaMemcpyAsync", target, source.ctypes.data, source.nbytes, kind, self._stream)

    def download(self, target: NDArray[np.generic], source: int) -> None:
        """See CudaDevice."""
        kind = cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        _call("cudaMemcpyAsync", target.ctypes.data, source, target.nbytes, kind, self._stream)

    def synchronize(self) -> None:
        """See CudaDevice."""
        _call("cudaStreamSynchronize", self._stream)

    def close(self) -> None:
        """See CudaDevice; page-locked arrays must not be touched after it."""
        if not self._open:
            return
        self._open = False
        # A lost GPU refuses these too, and then there is nothing left to free.
        for address in self._memory:
            cuda.cudaFree(address)
        for address in self._host:
            cuda.cudaFreeHost(address)
        cuda.cudaStreamDestroy(self._stream)


def _call(name: str, *arguments: Any) -> Any:
    """The value of a call, its error code checked."""
    code, *values = getattr(cuda, name)(*arguments)
    if code != cuda.cudaError_t.cudaSuccess:
        _, text = cuda.cudaGetErrorString(code)
        told = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        raise ModelError(f"CUDA: {name} failed: {told}")
    return values[0] if values else None
