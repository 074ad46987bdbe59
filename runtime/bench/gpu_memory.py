"""How much of the GPU's memory is in use, asked of the NVIDIA driver as cuda_probe asks it for its GPU.

It is the whole device's: what another program takes meanwhile counts too, and on a Jetson, whose GPU shares the
system's memory, so does what any process takes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from emomusic_edge.cuda_probe import LIBRARY

_SUCCESS = 0


def used_gpu_mb(load: Callable[[str], Any] = ctypes.CDLL) -> float | None:
    """Memory in use on the first GPU, in MiB; None where the driver does not tell.

    Args:
        load: opens a shared library; raises OSError when it is missing.
    """
    try:
        driver = load(LIBRARY)
    except OSError:
        return None
    context = ctypes.c_void_p()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    # The primary context is the one that engines use: it is there anyway once one is loaded.
    if driver.cuInit(0) != _SUCCESS or driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) != _SUCCESS:
        return None
    try:
        if driver.cuCtxPushCurrent_v2(context) != _SUCCESS:
            return None
        told = driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)) == _SUCCESS
        driver.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
    finally:
        driver.cuDevicePrimaryCtxRelease_v2(0)
    return (total.value - free.value) / 2**20 if told else None
