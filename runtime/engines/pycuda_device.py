"""CUDA through pycuda: the one module that imports it, and never pycuda.autoinit, whose context is a private one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pycuda.driver as cuda
from numpy.typing import DTypeLike, NDArray

from emomusic_edge.errors import ModelError


class PycudaDevice:
    """Implements cuda.CudaDevice."""

    def __init__(self) -> None:
        """Take the first GPU's primary context and make it this thread's.

        Raises:
            ModelError: CUDA refuses.
        """
        self._memory: list[Any] = []
        self._stream: Any = None
        self._context: Any = None
        with _told("no context"), contextlib.ExitStack() as undo:
            cuda.init()
            context = cuda.Device(0).retain_primary_context()
            undo.callback(context.detach)
            context.push()
            undo.callback(context.pop)
            self._stream = cuda.Stream()
            undo.pop_all()
        self._context = context

    @property
    def stream(self) -> int:
        """The stream's handle."""
        return int(self._stream.handle)

    def allocate(self, nbytes: int) -> int:
        """See CudaDevice."""
        with _told(f"no {nbytes} bytes on the GPU"):
            memory = cuda.mem_alloc(nbytes)
        self._memory.append(memory)
        return int(memory)

    def page_locked(self, shape: Sequence[int], dtype: DTypeLike) -> NDArray[np.generic]:
        """See CudaDevice."""
        with _told(f"no page-locked memory for {list(shape)}"):
            array: NDArray[np.generic] = cuda.pagelocked_empty(tuple(shape), dtype)
        return array

    def upload(self, target: int, source: NDArray[np.generic]) -> None:
        """See CudaDevice."""
        with _told("a copy to the GPU failed"):
            cuda.memcpy_htod_async(target, source, self._stream)

    def download(self, target: NDArray[np.generic], source: int) -> None:
        """See CudaDevice."""
        with _told("a copy from the GPU failed"):
            cuda.memcpy_dtoh_async(target, source, self._stream)

    def synchronize(self) -> None:
        """See CudaDevice."""
        with _told("the GPU failed"):
            self._stream.synchronize()

    def close(self) -> None:
        """See CudaDevice; the page-locked arrays go when nobody holds them."""
        if self._context is None:
            return
        with contextlib.suppress(cuda.Error):
            for memory in self._memory:
                memory.free()
        self._memory.clear()
        self._stream = None
        context, self._context = self._context, None
        with contextlib.suppress(cuda.Error):
            context.pop()
            context.detach()


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """CUDA's errors, told as ours."""
    try:
        yield
    except cuda.Error as cause:
        raise ModelError(f"CUDA: {what}: {cause}") from cause
