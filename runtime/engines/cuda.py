"""The little of CUDA that one engine needs, as a seam: pycuda or cuda-python fills it, whichever is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from emomusic_edge.errors import ModelError

MEND_NO_BINDINGS = ".venv/bin/pip install pycuda (it is compiled on the device), or cuda-bindings"


class CudaDevice(Protocol):
    """The first GPU through the primary context, which all CUDA of a process shares, with one stream of its own.

    One thread makes, uses and closes it. Copies are queued on the stream; what is copied must stand until
    `synchronize` returns.
    """

    @property
    def stream(self) -> int:
        """The handle of the stream, never the default one."""
        ...

    def allocate(self, nbytes: int) -> int:
        """The address of that many bytes on the GPU, freed by close().

        Raises:
            ModelError: they are not to be had.
        """
        ...

    def page_locked(self, shape: Sequence[int], dtype: DTypeLike) -> NDArray[np.generic]:
        """An array in host memory that the GPU copies from and to without a detour, freed by close().

        Raises:
            ModelError: it is not to be had.
        """
        ...

    def upload(self, target: int, source: NDArray[np.generic]) -> None:
        """Queue a copy of a contiguous array to an address on the GPU.

        Raises:
            ModelError: CUDA refuses.
        """
        ...

    def download(self, target: NDArray[np.generic], source: int) -> None:
        """Queue a copy from an address on the GPU that fills a contiguous array.

        Raises:
            ModelError: CUDA refuses.
        """
        ...

    def synchronize(self) -> None:
        """Wait until the stream has done all that was queued.

        Raises:
            ModelError: something that was queued failed; the GPU may be lost.
        """
        ...

    def close(self) -> None:
        """Free everything; harmless when it is closed."""
        ...


def open_device() -> CudaDevice:
    """The first GPU, through pycuda, else through cuda-python.

    Raises:
        ModelError: neither is installed, or CUDA refuses.
    """
    missing = []
    try:
        from .pycuda_device import PycudaDevice
    except ImportError as cause:
        missing.append(str(cause))
    else:
        return PycudaDevice()
    try:
        from .cuda_python_device import CudaPythonDevice
    except ImportError as cause:
        missing.append(str(cause))
    else:
        return CudaPythonDevice()
    raise ModelError(
        f"TensorRT needs pycuda or cuda-python to copy to the GPU: {'; '.join(missing)}.", mend=MEND_NO_BINDINGS
    )
