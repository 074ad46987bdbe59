"""A strict TensorRT without a GPU: three versions' names, real parsing, and inference that ONNX Runtime computes.

A name that a version's bindings lack raises AttributeError, on the module, its classes, their instances and enums. The
names come from `data/tensorrt_names.json`, cut out of the list of every public name of the three bindings (version ->
class -> names) with:

    import json
    names = json.load(open("api_names.json"))
    wanted = [*json.load(open("portable_subset.json")), "ILogger", "INetworkDefinition", "ITensor", "ParserError",
              "IHostMemory", "NetworkDefinitionCreationFlag", "MemoryPoolType", "BuilderFlag", "DataType",
              "TensorIOMode"]
    public = lambda some: sorted(name for name in some if name[0] != "_")
    cut = {v: {"module": public(names[v]), **{c: public(names[v][c]) for c in sorted(wanted)}}
           for v in ("10.3.0", "10.16.1", "11.4.0")}

A plan holds the ONNX bytes, the profile, the version and the GPU. `execute_async_v3` queues on a stream of cuda_fake's,
reads and writes the memory behind the addresses it was given, and nothing of it has happened before the stream is
waited for. As with CUDA, an object is used by the thread that made it.

`faults` maps `Class.method` to what that method gives in place of its own answer, or to an exception to raise.
"""

from __future__ import annotations

import ctypes
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cuda_fake
import numpy as np
import onnx
import onnxruntime as ort

NAMES: dict[str, dict[str, list[str]]] = json.loads(
    (Path(__file__).parent / "data" / "tensorrt_names.json").read_text(encoding="utf-8")
)
VERSIONS = tuple(NAMES)
MAGIC = b"FAKEPLAN"
CACHE_MAGIC = "FAKECACHE"
# What training mode or a seed of its own would need; the real parser refuses the first two.
REFUSED = {"Bernoulli", "Dropout"}


class Dims:
    """Sizes that are no tuple: they can be iterated and converted, not compared."""

    def __init__(self, sizes: Any) -> None:
        self._sizes = tuple(int(size) for size in sizes)

    def __iter__(self) -> Iterator[int]:
        return iter(self._sizes)

    def __len__(self) -> int:
        return len(self._sizes)

    def __getitem__(self, place: int) -> int:
        return self._sizes[place]

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise AssertionError("Dims are compared: make a tuple of them")


class Member:
    """A value of an enum: an int when asked, equal to itself alone."""

    def __init__(self, name: str, number: int) -> None:
        self._name, self._number = name, number

    def __int__(self) -> int:
        return self._number

    __index__ = __int__

    def __repr__(self) -> str:
        return self._name


class FakeTensorRT:
    """The module `tensorrt` of one version."""

    def __init__(self, version: str, *, gpu: str = "Orin", faults: dict[str, Any] | None = None) -> None:
        table = NAMES[version]
        self.__version__ = version
        self._gpu = gpu
        self.faults_ = faults if faults is not None else {}
        self.asked_: set[str] = set()
        self.builds_: list[SimpleNamespace] = []
        self._enums = {
            name: _enum(self, name, table[name])
            for name in ("NetworkDefinitionCreationFlag", "MemoryPoolType", "DataType", "TensorIOMode", "BuilderFlag")
        }
        severities = ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"]
        self._severity = _enum(self, "Severity", severities)
        self._classes = {cls.__name__: _strict(self, cls) for cls in IMPLEMENTED}
        self._classes["ILogger"].Severity = self._severity

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self.asked_.add(f"module.{name}")
        if name not in NAMES[self.__version__]["module"]:
            raise AttributeError(f"module 'tensorrt' {self.__version__} has no attribute {name!r}")
        if name in self._enums:
            return self._enums[name]
        if name in self._classes:
            return self._classes[name]
        raise NotImplementedError(f"the fake has no {name}")


def _enum(trt: FakeTensorRT, name: str, members: list[str]) -> Any:
    numbers = {"STRONGLY_TYPED": 1}
    values = {member: Member(member, numbers.get(member, place)) for place, member in enumerate(members)}

    class Enum:
        def __getattr__(self, member: str) -> Member:
            trt.asked_.add(f"{name}.{member}")
            if member not in values:
                raise AttributeError(f"{name} of {trt.__version__} has no {member!r}")
            return values[member]

    return Enum()


def _strict(trt: FakeTensorRT, base: type) -> Any:
    """A class whose public attributes are those of the version's table, and whose faults are injected."""
    table = set(NAMES[trt.__version__][base.__name__])

    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            if name[0] != "_":
                trt.asked_.add(f"{base.__name__}.{name}")
                if name not in table:
                    raise AttributeError(f"{base.__name__} of {trt.__version__} has no {name!r}")
            return super().__getattribute__(name)

    class Strict(base, metaclass=Meta):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: Any) -> None:
            self._trt = trt
            self._thread = threading.get_ident()
            fault = trt.faults_.get(base.__name__, self)
            if fault is not self:
                raise TypeError("pybind11::init(): factory function returned nullptr")
            super().__init__(*arguments)

        def __getattribute__(self, name: str) -> Any:
            if name[0] == "_":
                return super().__getattribute__(name)
            trt.asked_.add(f"{base.__name__}.{name}")
            if name not in table:
                raise AttributeError(f"{base.__name__} of {trt.__version__} has no {name!r}")
            assert name == "log" or threading.get_ident() == self._thread, f"{name} on another thread"
            key = f"{base.__name__}.{name}"
            if key in trt.faults_:
                return _fault(trt.faults_[key])
            return super().__getattribute__(name)

        def __setattr__(self, name: str, value: Any) -> None:
            if name[0] != "_":
                raise AttributeError(f"{base.__name__}.{name} cannot be set in the fake")
            super().__setattr__(name, value)

    Strict.__name__ = Strict.__qualname__ = base.__name__
    return Strict


def _fault(answer: Any) -> Callable[..., Any]:
    def faulty(*_: Any, **__: Any) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return faulty


class _Object:
    _trt: FakeTensorRT

    def _make(self, name: str, *arguments: Any) -> Any:
        return self._trt._classes[name](*arguments)


class ILogger(_Object):
    def __init__(self) -> None:
        pass

    def log(self, severity: Any, msg: str) -> None:
        raise NotImplementedError("overridden by the program")


def _error(logger: Any, message: str) -> None:
    logger.log(logger._trt._severity.ERROR, message)


class Builder(_Object):
    def __init__(self, logger: Any) -> None:
        assert isinstance(logger, self._trt._classes["ILogger"])
        self._logger = logger

    def create_network(self, flags: int = 0) -> Any:
        # Without the flag a version before 11 would take the weak types it has.
        assert flags == 1 << 1, "the network is not strongly typed"
        return self._make("INetworkDefinition")

    def create_builder_config(self) -> Any:
        return self._make("IBuilderConfig")

    def create_optimization_profile(self) -> Any:
        return self._make("IOptimizationProfile")

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        profile: dict[str, Any] = config._profiles[0]._shapes if config._profiles else {}
        for value in network._model.graph.input:
            sizes = _sizes(value)
            bounds = profile.get(value.name)
            if bounds is None and -1 in sizes:
                _error(self._logger, f"Network has dynamic input {value.name}, but no optimization profile")
                return None
            if bounds is not None and any(
                -1 != size != bound for shape in bounds for size, bound in zip(sizes, shape, strict=True)
            ):
                _error(self._logger, f"The profile of {value.name} does not fit the network")
                return None
        if config._cache is not None:
            config._cache._entries.add(f"{self._trt.__version__}-{network._model.graph.name}")
        self._trt.builds_.append(SimpleNamespace(profile=profile, memory=config._memory, cache=config._cache))
        head = {"version": self._trt.__version__, "gpu": self._trt._gpu, "profile": profile}
        return self._make("IHostMemory", MAGIC + json.dumps(head).encode() + b"\0" + network._model.SerializeToString())


class INetworkDefinition(_Object):
    def __init__(self) -> None:
        self._model = onnx.ModelProto()

    @property
    def num_inputs(self) -> int:
        return len(self._model.graph.input)

    def get_input(self, index: int) -> Any:
        return self._make("ITensor", self._model.graph.input[index])


class ITensor(_Object):
    def __init__(self, value: onnx.ValueInfoProto) -> None:
        self._value = value

    @property
    def name(self) -> str:
        return self._value.name

    @property
    def shape(self) -> Dims:
        return Dims(_sizes(self._value))


class OnnxParser(_Object):
    def __init__(self, network: Any, logger: Any) -> None:
        self._network = network
        self._errors: list[tuple[str, str, str]] = []

    def parse_from_file(self, path: str) -> bool:
        assert isinstance(path, str)
        try:
            model = onnx.load_model_from_string(Path(path).read_bytes())
            schemas = {schema.name for schema in onnx.defs.get_all_schemas()}
        except Exception:  # noqa: BLE001 (protobuf's own errors differ between its versions)
            self._errors.append(("", "", "Failed to parse the ONNX model."))
            return False
        for node in model.graph.node:
            if node.op_type in REFUSED or node.op_type not in schemas:
                self._errors.append((node.op_type, node.name, "no importer"))
        self._network._model = onnx.shape_inference.infer_shapes(model)
        return not self._errors

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self._make("ParserError", *self._errors[index])


class ParserError(_Object):
    def __init__(self, operator: str, node: str, text: str) -> None:
        self._told = (operator, node, text)

    def node_operator(self) -> str:
        return self._told[0]

    def node_name(self) -> str:
        return self._told[1]

    def desc(self) -> str:
        return self._told[2]


class IBuilderConfig(_Object):
    def __init__(self) -> None:
        self._profiles: list[Any] = []
        self._memory: dict[str, int] = {}
        self._cache: Any = None

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        self._memory[repr(pool)] = pool_size

    def add_optimization_profile(self, profile: Any) -> int:
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def create_timing_cache(self, serialized: bytes) -> Any:
        return self._make("ITimingCache", bytes(serialized))

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch, "a foreign cache would be believed"
        if cache._made_by != self._trt.__version__:
            return False
        self._cache = cache
        return True

    def get_timing_cache(self) -> Any:
        return self._cache


class ITimingCache(_Object):
    def __init__(self, serialized: bytes) -> None:
        content = json.loads(serialized) if serialized else {"by": self._trt.__version__, "entries": []}
        self._made_by = content["by"]
        self._entries = set(content["entries"])

    def combine(self, other: Any, ignore_mismatch: bool) -> bool:
        if other._made_by != self._made_by:
            return False
        self._entries |= other._entries
        return True

    def serialize(self) -> Any:
        content = {"by": self._made_by, "entries": sorted(self._entries)}
        return self._make("IHostMemory", json.dumps(content).encode())


class IHostMemory(_Object):
    def __init__(self, content: bytes) -> None:
        self._content = content

    def __bytes__(self) -> bytes:
        return self._content


class IOptimizationProfile(_Object):
    def __init__(self) -> None:
        self._shapes: dict[str, Any] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        if any(not low <= best <= high for low, best, high in zip(min, opt, max, strict=True)):
            raise ValueError("Shape provided is inconsistent")
        self._shapes[input] = [list(shape) for shape in (min, opt, max)]


class Runtime(_Object):
    def __init__(self, logger: Any) -> None:
        assert isinstance(logger, self._trt._classes["ILogger"])
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
        head, _, model = serialized_engine.partition(b"\0")
        if not head.startswith(MAGIC):
            _error(self._logger, "Serialization assertion failed: magic tag does not match")
            return None
        plan = json.loads(head[len(MAGIC) :])
        if (plan["version"], plan["gpu"]) != (self._trt.__version__, self._trt._gpu):
            _error(self._logger, f"The engine was made by {plan['version']} for {plan['gpu']}")
            return None
        return self._make("ICudaEngine", onnx.load_model_from_string(model), plan["profile"])


class ICudaEngine(_Object):
    def __init__(self, model: onnx.ModelProto, profile: dict[str, Any]) -> None:
        self._model, self._profile = model, profile
        self._values = {value.name: value for value in (*model.graph.input, *model.graph.output)}
        self._inputs = [value.name for value in model.graph.input]

    @property
    def num_io_tensors(self) -> int:
        return len(self._values)

    def get_tensor_name(self, index: int) -> str:
        return list(self._values)[index]

    def get_tensor_mode(self, name: str) -> Any:
        return getattr(self._trt._enums["TensorIOMode"], "INPUT" if name in self._inputs else "OUTPUT")

    def get_tensor_dtype(self, name: str) -> Any:
        names = {onnx.TensorProto.FLOAT: "FLOAT", onnx.TensorProto.UINT8: "UINT8", onnx.TensorProto.FLOAT16: "HALF"}
        return getattr(self._trt._enums["DataType"], names[self._values[name].type.tensor_type.elem_type])

    def get_tensor_shape(self, name: str) -> Dims:
        return Dims(_sizes(self._values[name]))

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Dims]:
        assert profile_index == 0
        return [Dims(shape) for shape in self._profile.get(name, [])]

    def create_execution_context(self) -> Any:
        return self._make("IExecutionContext", self)


class IExecutionContext(_Object):
    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._session = ort.InferenceSession(engine._model.SerializeToString(), providers=["CPUExecutionProvider"])
        self._shapes: dict[str, tuple[int, ...]] = {
            name: sizes for name in engine._inputs if -1 not in (sizes := _sizes(engine._values[name]))
        }
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: Any) -> bool:
        assert isinstance(shape, (tuple, list))
        bounds = self._engine._profile.get(name, [_sizes(self._engine._values[name])] * 3)
        fits = len(shape) == len(bounds[0]) and all(
            low <= size <= high for low, size, high in zip(bounds[0], shape, bounds[2], strict=True)
        )
        if fits:
            self._shapes[name] = tuple(shape)
        return fits

    def infer_shapes(self) -> list[str]:
        return [name for name in self._engine._inputs if name not in self._shapes]

    def get_tensor_shape(self, name: str) -> Dims:
        if name in self._engine._inputs:
            return Dims(self._shapes.get(name, _sizes(self._engine._values[name])))
        open_sizes = {
            dim.dim_param: size
            for known, shape in self._shapes.items()
            for dim, size in zip(self._engine._values[known].type.tensor_type.shape.dim, shape, strict=True)
            if dim.dim_param
        }
        dims = self._engine._values[name].type.tensor_type.shape.dim
        return Dims(open_sizes.get(dim.dim_param, -1) if dim.dim_param else dim.dim_value for dim in dims)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        assert isinstance(memory, int)
        self._addresses[name] = memory
        return memory != 0

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert set(self._addresses) == set(self._engine._values), "a tensor has no address"
        assert set(self._shapes) == set(self._engine._inputs), "an input has no shape"
        shapes, addresses = dict(self._shapes), dict(self._addresses)
        outputs = [value.name for value in self._engine._model.graph.output]
        dtypes = {
            name: onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            for name, value in self._engine._values.items()
        }

        def work() -> None:
            given = {name: _at(addresses[name], shape, dtypes[name]) for name, shape in shapes.items()}
            for name, value in zip(outputs, self._session.run(outputs, given), strict=True):
                np.copyto(_at(addresses[name], value.shape, dtypes[name]), value)

        cuda_fake.STREAMS[stream_handle].append(work)
        return True


def _sizes(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(-1 if dim.dim_param else dim.dim_value for dim in value.type.tensor_type.shape.dim)


def _at(address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    assert cuda_fake.on_the_gpu(address, nbytes), "an address that is not the GPU's"
    return np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(address)).view(dtype).reshape(shape)


IMPLEMENTED = (
    *(ILogger, Builder, INetworkDefinition, ITensor, OnnxParser, ParserError, IBuilderConfig, ITimingCache),
    *(IHostMemory, IOptimizationProfile, Runtime, ICudaEngine, IExecutionContext),
)
