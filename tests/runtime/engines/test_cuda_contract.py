"""One contract for the CUDA device: the fake, and the wrappers of pycuda and cuda-python over strict fakes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import cuda_fake
import numpy as np
import pytest

from emomusic_edge.errors import ModelError
from emomusic_edge.runtime.engines.cuda import CudaDevice, open_device

PACKAGE = "emomusic_edge.runtime.engines"
WRAPPERS = {
    "pycuda": ("pycuda_device", "PycudaDevice", cuda_fake.pycuda_modules),
    "cuda-python": ("cuda_python_device", "CudaPythonDevice", cuda_fake.cuda_bindings_modules),
}


@pytest.fixture
def wrapped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Callable[[], CudaDevice]]]:
    """A wrapper's class, its library a fake; the fake's calls in `fail` fail."""
    for name in list(sys.modules):
        if name.split(".")[0] in ("pycuda", "cuda"):
            monkeypatch.delitem(sys.modules, name)

    def load(library: str, fail: set[str] | None = None) -> Callable[[], CudaDevice]:
        module, name, modules = WRAPPERS[library]
        for path, fake in modules(fail).items():
            monkeypatch.setitem(sys.modules, path, fake)
        sys.modules.pop(f"{PACKAGE}.{module}", None)
        return getattr(importlib.import_module(f"{PACKAGE}.{module}"), name)  # type: ignore[no-any-return]

    yield load
    for module, _, _ in WRAPPERS.values():
        sys.modules.pop(f"{PACKAGE}.{module}", None)


@pytest.fixture(params=["fake", *WRAPPERS])
def device(request: pytest.FixtureRequest, wrapped: Any) -> Iterator[CudaDevice]:
    before = (len(cuda_fake._GPU), len(cuda_fake.STREAMS))
    made = cuda_fake.FakeCudaDevice() if request.param == "fake" else wrapped(request.param)()
    yield made
    made.close()
    made.close()
    assert len(cuda_fake._GPU) == before[0]
    if request.param != "pycuda":  # its stream goes with the last reference
        assert len(cuda_fake.STREAMS) == before[1]


def test_what_goes_up_comes_down(device: CudaDevice) -> None:
    there = device.page_locked((3, 5), np.float32)
    back = device.page_locked((3, 5), np.float32)
    there[...] = np.arange(15).reshape(3, 5)
    back[...] = -1
    address = device.allocate(there.nbytes)
    device.upload(address, there)
    device.download(back, address)
    device.synchronize()
    np.testing.assert_array_equal(back, there)


def test_parts_of_buffers_will_do(device: CudaDevice) -> None:
    host = device.page_locked((16,), np.uint8)
    host[...] = range(16)
    address = device.allocate(16)
    device.upload(address, host[:4].reshape(2, 2))
    device.download(host[12:], address)
    device.synchronize()
    assert host[12:].tolist() == [0, 1, 2, 3]


def test_its_stream_is_not_the_default_one(device: CudaDevice) -> None:
    assert isinstance(device.stream, int)
    assert device.stream not in (0, 1, 2)


def test_several_allocations_do_not_overlap(device: CudaDevice) -> None:
    first, second = device.allocate(100), device.allocate(100)
    assert abs(first - second) >= 100


FAILURES = [
    ("pycuda", "retain_primary_context"),
    ("pycuda", "push"),
    ("pycuda", "Stream"),
    ("pycuda", "mem_alloc"),
    ("pycuda", "pagelocked_empty"),
    ("pycuda", "memcpy_htod_async"),
    ("pycuda", "memcpy_dtoh_async"),
    ("pycuda", "synchronize"),
    ("cuda-python", "cudaSetDevice"),
    ("cuda-python", "cudaStreamCreateWithFlags"),
    ("cuda-python", "cudaMalloc"),
    ("cuda-python", "cudaHostAlloc"),
    ("cuda-python", "cudaMemcpyAsync"),
    ("cuda-python", "cudaStreamSynchronize"),
]


@pytest.mark.parametrize(("library", "call"), FAILURES)
def test_each_refusal_of_cuda_is_a_model_error(wrapped: Any, library: str, call: str) -> None:
    make = wrapped(library, {call})

    def use() -> None:
        device = make()
        try:
            host = device.page_locked((4,), np.uint8)
            address = device.allocate(4)
            device.upload(address, host)
            device.download(host, address)
            device.synchronize()
        finally:
            device.close()

    with pytest.raises(ModelError, match="CUDA: "):
        use()


def test_pycuda_works_on_the_primary_context_and_lets_go_of_it(wrapped: Any) -> None:
    device = wrapped("pycuda")()
    state = sys.modules["pycuda.driver"].state_  # type: ignore[attr-defined]
    assert state == {"init": True, "stack": 1, "retained": 1}
    device.close()
    assert state == {"init": True, "stack": 0, "retained": 0}
    assert "pycuda.autoinit" not in sys.modules


@pytest.mark.parametrize("call", ["push", "Stream"])
def test_pycuda_lets_go_of_the_context_when_it_fails_half_way(wrapped: Any, call: str) -> None:
    make = wrapped("pycuda", {call})
    with pytest.raises(ModelError, match=f"no context: {call} failed"):
        make()
    assert sys.modules["pycuda.driver"].state_ == {  # type: ignore[attr-defined]
        "init": True,
        "stack": 0,
        "retained": 0,
    }


def test_pycuda_is_preferred_and_cuda_python_comes_next(wrapped: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped("pycuda")
    wrapped("cuda-python")
    for expected, gone in (("PycudaDevice", "pycuda"), ("CudaPythonDevice", "cuda")):
        device = open_device()
        assert type(device).__name__ == expected
        device.close()
        for name in [name for name in sys.modules if name.split(".")[0] == gone]:
            # None makes the import fail
            monkeypatch.setitem(sys.modules, name, None)  # type: ignore[arg-type]
        for module, _, _ in WRAPPERS.values():
            sys.modules.pop(f"{PACKAGE}.{module}", None)
    with pytest.raises(ModelError, match="pycuda or cuda-python") as told:
        open_device()
    assert "pip install pycuda" in told.value.mend


@pytest.mark.parametrize("path", ["cuda.bindings.runtime", "pycuda.driver"])
def test_the_real_library_has_the_names_of_its_fake(path: str) -> None:
    real = pytest.importorskip(path, reason=f"needs {path}")
    fakes = [*cuda_fake.pycuda_modules().values(), *cuda_fake.cuda_bindings_modules().values()]
    fake = next(one for one in fakes if one.__name__ == path)
    assert all(hasattr(real, name) for name in vars(fake) if not name.startswith("_") and not name.endswith("state_"))


def test_the_fakes_have_no_other_names(wrapped: Any) -> None:
    for fakes in (cuda_fake.pycuda_modules(), cuda_fake.cuda_bindings_modules()):
        for module in fakes.values():
            assert isinstance(module, ModuleType)
            with pytest.raises(AttributeError):
                module.nonsense  # noqa: B018
