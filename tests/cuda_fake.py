"""GPU memory, streams and page-locked arrays without a GPU: host memory behind the seam runtime/engines/cuda.py.

What is queued on a stream happens when the stream is waited for and not before, so that a missing wait, or a buffer
that is written too early, gives a wrong answer. Memory is checked: no address outside an allocation, no use after
close, no copy from or to an array that is not page-locked, one thread. `pycuda_modules` and `cuda_bindings_modules` are
the same under the names that the wrappers of pycuda and cuda-python call; the fakes have those names alone.
"""

from __future__ import annotations

import ctypes
import enum
import itertools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from emomusic_edge.errors import ModelError

STREAMS: dict[int, deque[Callable[[], None]]] = {}
_GPU: dict[int, np.ndarray] = {}
_PINNED: dict[int, np.ndarray] = {}
_handles = itertools.count(0x1000)


def on_the_gpu(address: int, nbytes: int) -> bool:
    return _inside(_GPU, address, nbytes)


def _inside(blocks: dict[int, np.ndarray], address: int, nbytes: int) -> bool:
    # A copy: several devices may be in use, each on a thread of its own.
    known = list(blocks.items())
    return any(start <= address and address + nbytes <= start + block.nbytes for start, block in known)


def _take(blocks: dict[int, np.ndarray], nbytes: int) -> int:
    block = np.full(max(nbytes, 1), 0xA5, np.uint8)
    blocks[block.ctypes.data] = block
    return block.ctypes.data


def _new_stream() -> int:
    handle = next(_handles)
    STREAMS[handle] = deque()
    return handle


def _copy(handle: int, target: int, source: int, nbytes: int, *, to_gpu: bool) -> None:
    gpu, host = (target, source) if to_gpu else (source, target)
    assert on_the_gpu(gpu, nbytes), "an address that is not the GPU's"
    assert _inside(_PINNED, host, nbytes), "an array that is not page-locked"
    STREAMS[handle].append(lambda: ctypes.memmove(target, source, nbytes) and None)


def _drain(handle: int) -> None:
    queue = STREAMS[handle]
    while queue:
        queue.popleft()()


class FakeCudaDevice:
    """Implements cuda.CudaDevice. `memory_bytes` is all the GPU has; `lost` makes every wait fail."""

    def __init__(self, memory_bytes: int = 1 << 30) -> None:
        self._free = memory_bytes
        self._thread = threading.get_ident()
        self._own: list[tuple[dict[int, np.ndarray], int]] = []
        self._stream = _new_stream()
        self.lost = False
        self.closed = False
        self.uploads: list[int] = []
        self.allocations = 0

    @property
    def stream(self) -> int:
        self._check()
        return self._stream

    def allocate(self, nbytes: int) -> int:
        self._check()
        if nbytes > self._free:
            raise ModelError(f"CUDA: no {nbytes} bytes on the GPU: out of memory")
        self._free -= nbytes
        self.allocations += 1
        address = _take(_GPU, nbytes)
        self._own.append((_GPU, address))
        return address

    def page_locked(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        self._check()
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = _take(_PINNED, nbytes)
        self._own.append((_PINNED, address))
        return _PINNED[address][:nbytes].view(dtype).reshape(tuple(shape))

    def upload(self, target: int, source: np.ndarray) -> None:
        self._check()
        assert source.flags.c_contiguous
        self.uploads.append(source.nbytes)
        _copy(self._stream, target, source.ctypes.data, source.nbytes, to_gpu=True)

    def download(self, target: np.ndarray, source: int) -> None:
        self._check()
        assert target.flags.c_contiguous
        _copy(self._stream, target.ctypes.data, source, target.nbytes, to_gpu=False)

    def synchronize(self) -> None:
        self._check()
        if self.lost:
            raise ModelError("CUDA: the GPU failed: an illegal memory access was encountered")
        _drain(self._stream)

    def close(self) -> None:
        assert threading.get_ident() == self._thread, "closed by another thread"
        if self.closed:
            return
        self.closed = True
        for blocks, address in self._own:
            del blocks[address]
        del STREAMS[self._stream]

    def _check(self) -> None:
        assert threading.get_ident() == self._thread, "used by another thread"
        assert not self.closed, "used after close"


def pycuda_modules(fail: set[str] | None = None) -> dict[str, ModuleType]:
    """`pycuda` and `pycuda.driver` with names of 2026.1 (looked up in its source); `fail` names calls that fail."""
    failing = fail if fail is not None else set()
    driver = ModuleType("pycuda.driver")
    state = {"init": False, "stack": 0, "retained": 0}

    class Error(Exception):
        pass

    def must(name: str) -> None:
        if name in failing:
            raise Error(f"{name} failed: out of memory")
        assert state["init"], "cuda.init() was not called"
        assert state["stack"] > 0, "no context is current on this thread"

    class Context:
        def push(self) -> None:
            if "push" in failing:
                raise Error("push failed: out of memory")
            state["stack"] += 1

        @staticmethod
        def pop() -> None:
            state["stack"] -= 1

        def detach(self) -> None:
            state["retained"] -= 1

    class Device:
        def __init__(self, ordinal: int) -> None:
            assert state["init"]
            assert ordinal == 0

        def retain_primary_context(self) -> Context:
            if "retain_primary_context" in failing:
                raise Error("cuDevicePrimaryCtxRetain failed: unknown error")
            state["retained"] += 1
            return Context()

    class Stream:
        def __init__(self, flags: int = 0) -> None:
            must("Stream")
            self.handle = _new_stream()

        def synchronize(self) -> None:
            must("synchronize")
            _drain(self.handle)

    class DeviceAllocation:
        def __init__(self, nbytes: int) -> None:
            self._address = _take(_GPU, nbytes)

        def __int__(self) -> int:
            return self._address

        def free(self) -> None:
            del _GPU[self._address]

    def init() -> None:
        state["init"] = True

    def mem_alloc(nbytes: int) -> DeviceAllocation:
        must("mem_alloc")
        return DeviceAllocation(nbytes)

    def pagelocked_empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        must("pagelocked_empty")
        array = np.empty(shape, dtype)
        _PINNED[array.ctypes.data] = array
        return array

    def memcpy_htod_async(dest: int, src: np.ndarray, stream: Stream) -> None:
        must("memcpy_htod_async")
        _copy(stream.handle, dest, src.ctypes.data, src.nbytes, to_gpu=True)

    def memcpy_dtoh_async(dest: np.ndarray, src: int, stream: Stream) -> None:
        must("memcpy_dtoh_async")
        _copy(stream.handle, dest.ctypes.data, src, dest.nbytes, to_gpu=False)

    for made in (Error, Context, Device, Stream, init, mem_alloc, pagelocked_empty):
        setattr(driver, made.__name__, made)
    driver.memcpy_htod_async = memcpy_htod_async  # type: ignore[attr-defined]
    driver.memcpy_dtoh_async = memcpy_dtoh_async  # type: ignore[attr-defined]
    driver.state_ = state  # type: ignore[attr-defined]
    package = ModuleType("pycuda")
    package.driver = driver  # type: ignore[attr-defined]
    return {"pycuda": package, "pycuda.driver": driver}


def cuda_bindings_modules(fail: set[str] | None = None) -> dict[str, ModuleType]:
    """`cuda.bindings.runtime` with the names that both 12.9.10 and 13.5.0 have (looked up in the wheels)."""
    failing = fail if fail is not None else set()
    runtime = ModuleType("cuda.bindings.runtime")

    class cudaError_t(enum.IntEnum):  # noqa: N801
        cudaSuccess = 0  # noqa: N815
        cudaErrorMemoryAllocation = 2  # noqa: N815

    class cudaMemcpyKind(enum.IntEnum):  # noqa: N801
        cudaMemcpyHostToDevice = 1  # noqa: N815
        cudaMemcpyDeviceToHost = 2  # noqa: N815

    def call(values: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def wrap(work: Callable[..., Any]) -> Callable[..., Any]:
            def called(*arguments: Any) -> tuple[Any, ...]:
                if work.__name__ in failing:
                    return (cudaError_t.cudaErrorMemoryAllocation, *[None] * values)
                answer = work(*arguments)
                return (cudaError_t.cudaSuccess, answer) if values else (cudaError_t.cudaSuccess,)

            setattr(runtime, work.__name__, called)
            return called

        return wrap

    @call(0)
    def cudaSetDevice(device: int) -> None:  # noqa: N802
        assert device == 0

    @call(1)
    def cudaStreamCreateWithFlags(flags: int) -> int:  # noqa: N802
        assert flags == 1
        return _new_stream()

    @call(0)
    def cudaStreamSynchronize(stream: int) -> None:  # noqa: N802
        _drain(stream)

    @call(0)
    def cudaStreamDestroy(stream: int) -> None:  # noqa: N802
        del STREAMS[stream]

    @call(1)
    def cudaMalloc(size: int) -> int:  # noqa: N802
        return _take(_GPU, size)

    @call(0)
    def cudaFree(address: int) -> None:  # noqa: N802
        del _GPU[address]

    @call(1)
    def cudaHostAlloc(size: int, flags: int) -> int:  # noqa: N802
        return _take(_PINNED, size)

    @call(0)
    def cudaFreeHost(address: int) -> None:  # noqa: N802
        del _PINNED[address]

    @call(0)
    def cudaMemcpyAsync(dst: int, src: int, count: int, kind: cudaMemcpyKind, stream: int) -> None:  # noqa: N802
        _copy(stream, dst, src, count, to_gpu=kind is cudaMemcpyKind.cudaMemcpyHostToDevice)

    @call(1)
    def cudaGetErrorString(error: cudaError_t) -> bytes:  # noqa: N802
        return b"out of memory"

    runtime.cudaError_t = cudaError_t  # type: ignore[attr-defined]
    runtime.cudaMemcpyKind = cudaMemcpyKind  # type: ignore[attr-defined]
    runtime.cudaStreamNonBlocking = 1  # type: ignore[attr-defined]
    runtime.cudaHostAllocDefault = 0  # type: ignore[attr-defined]
    bindings, package = ModuleType("cuda.bindings"), ModuleType("cuda")
    bindings.runtime, package.bindings = runtime, bindings  # type: ignore[attr-defined]
    return {"cuda": package, "cuda.bindings": bindings, "cuda.bindings.runtime": runtime}
