"""A checkpoint's pickle gone through with nothing made of it, before PyTorch follows it.

PyTorch's `weights_only` reading runs no foreign code, but what it may call can still fill the memory from a kilobyte
(`bytearray(10**10)`, `torch.Tensor(10**10)`, a `hex` of a `hex` of a text, one number spread over a billion places) or
end the process (the hash of a tuple nested a million deep). So each call is held to its arguments first.
"""

from __future__ import annotations

import math
import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import IO, Any, Protocol, cast

# No weight of a network has more; PyTorch itself stops at 64.
MAX_DIMENSIONS = 8
# Tuples in tuples: a storage's name, a shape and an argument list stand two deep.
_MAX_DEPTH = 32
_LATIN_1 = ("latin1", "latin-1", "iso-8859-1")
_REBUILD = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_qtensor")
_WRAP = ("_rebuild_parameter", "_rebuild_parameter_with_state")
_PASSIVE = ("_rebuild_sparse_tensor", "_rebuild_meta_tensor_no_storage")
_REBUILDS = tuple(f"torch._utils.{name}" for name in (*_REBUILD, *_WRAP, *_PASSIVE))
_FROM_TYPE = "torch._tensor._rebuild_from_type_v2"
_CONTAINERS = ("collections.OrderedDict", "collections.Counter", "builtins.set")
_PLAIN = ("torch.Size", "torch.device", "builtins.complex", "torch.serialization._get_layout")
_ENCODE = "_codecs.encode"
# Named as an argument, never called.
_MARKERS = ("torch.Tensor", "torch.nn.parameter.Parameter", "torch.storage.UntypedStorage")
_SCHEMES = tuple(
    f"torch.per_{of}"
    for of in (
        *("tensor_affine", "tensor_symmetric"),
        *("channel_affine", "channel_symmetric", "channel_affine_float_qparams"),
    )
)
_CONSTANTS = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
}


class RehearsalError(Exception):
    """The pickle does what no checkpoint needs; the message says what."""


class ForeignNameError(RehearsalError):
    """It asks for something that is neither PyTorch's nor known to be harmless; the message is its name."""


class ByteReader(Protocol):
    """What `pickletools` reads from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes."""
        ...

    def readline(self) -> bytes:
        """Up to a line's end."""
        ...


class BoundedFile:
    """A file whose `read` takes no room for more than the file still holds, whatever length was declared."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size

    def read(self, size: int, /) -> bytes:
        """At most so many bytes."""
        return self._file.read(min(size, max(self._size - self._file.tell(), 0)))

    def readline(self) -> bytes:
        """Up to a line's end; a name has no more than a few hundred bytes."""
        return self._file.readline(4096)


@dataclass(frozen=True, slots=True)
class _Name:
    name: str


@dataclass(slots=True)
class _Made:
    """What a call gave; its keys where it is a mapping or a list, which PyTorch fills afterwards."""

    by: str
    keys: list[object] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Tuple:
    items: tuple[object, ...]
    depth: int


@dataclass(frozen=True, slots=True)
class _Storage:
    values: int
    size_bytes: int


class Rehearsal:
    """Goes through the pickles of one file."""

    def __init__(self, harmless: frozenset[str], mappings: frozenset[str], file_bytes: int) -> None:
        """Begin.

        Args:
            harmless: full names that inert objects stand for.
            mappings: full names that empty mappings stand for.
            file_bytes: of the checkpoint; its storages have no more together.
        """
        import torch

        self._harmless = harmless
        self._mappings = mappings
        self._file_bytes = file_bytes
        legacy = torch.storage._dtype_to_storage_type_map()
        self._value_bytes = {f"torch.{name}": dtype.itemsize for dtype, name in legacy.items()}
        dtypes = {str(value) for value in vars(torch).values() if isinstance(value, torch.dtype)}
        self._known = frozenset(
            {*harmless, *mappings, *_REBUILDS, _FROM_TYPE, *_CONTAINERS, *_PLAIN, _ENCODE, *_MARKERS, *_SCHEMES}
            | dtypes
            | self._value_bytes.keys()
        )
        self._storages: dict[str, int] = {}

    def run(self, file: ByteReader) -> None:
        """Go through one pickle, up to its end.

        Raises:
            RehearsalError: it does what no checkpoint needs.
            Exception: it is broken: what `pickletools` raises on that, and IndexError, KeyError.
        """
        stack: list[Any] = []
        below: list[list[Any]] = []
        memo: dict[int, Any] = {}
        for opcode, arg, _ in pickletools.genops(cast("IO[bytes]", file)):
            name = opcode.name
            if name in ("BINPUT", "LONG_BINPUT"):
                memo[int(str(arg))] = stack[-1]
            elif name in ("BINGET", "LONG_BINGET"):
                stack.append(memo[int(str(arg))])
            elif name in ("BINUNICODE", "SHORT_BINSTRING", "BININT", "BININT1", "BININT2", "BINFLOAT", "LONG1"):
                stack.append(arg)
            elif name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            elif name == "MARK":
                below.append(stack)
                stack = []
            elif name == "STOP":
                return
            elif name != "PROTO":
                marked: list[Any] | None = None
                if opcode.stack_before and pickletools.markobject in opcode.stack_before:
                    marked, stack = stack, below.pop()
                self._step(name, arg, stack, marked)

    def _step(self, name: str, arg: object, stack: list[Any], marked: list[Any] | None) -> None:
        """One opcode that makes or changes something."""
        if name == "GLOBAL":
            stack.append(self._global(str(arg)))
        elif name in ("EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"):
            count = 0 if name == "EMPTY_TUPLE" else int(name[-1])
            items = [stack.pop() for _ in range(count)][::-1]
            stack.append(_tuple(items))
        elif name == "TUPLE" and marked is not None:
            stack.append(_tuple(marked))
        elif name in ("EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"):
            stack.append(_Made(name))
        elif name == "APPEND":
            stack.pop()
        elif name == "SETITEM":
            _, key = stack.pop(), stack.pop()
            _keys_of(stack[-1]).append(key)
        elif name == "SETITEMS" and marked is not None:
            _keys_of(stack[-1]).extend(marked[::2])
        elif name == "REDUCE":
            args, called = stack.pop(), stack.pop()
            stack.append(self._call(called, args, f" under the name {stack[-1]!a:.80}" if _is_text(stack) else ""))
        elif name == "NEWOBJ":
            args, made = stack.pop(), stack.pop()
            if not isinstance(made, _Name) or made.name not in {*self._harmless, *self._mappings, *_CONTAINERS}:
                raise RehearsalError(f"it makes an object of {_told(made)} without its weights")
            stack.append(self._call(made, args, ""))
        elif name == "BUILD":
            state = stack.pop()
            self._hold_state(stack[-1], state)
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name != "APPENDS":
            raise RehearsalError(f"the operation {name} stands in no file that torch.save writes")

    def _global(self, text: str) -> _Name:
        module, _, name = text.partition(" ")
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        full = f"{module}.{name}"
        if full not in self._known:
            raise ForeignNameError(full)
        return _Name(full)

    def _call(self, called: object, args: object, where: str) -> _Made:
        if not isinstance(called, _Name) or not isinstance(args, _Tuple):
            raise RehearsalError(f"it calls {_told(called)}{where}")
        name, items = called.name, args.items
        if name == _FROM_TYPE:
            inner = items[0] if items else None
            if len(items) != 4 or not isinstance(inner, _Name) or inner.name not in _REBUILDS:
                raise RehearsalError(f"it makes a tensor{where} by {_told(inner)}")
            return self._call(inner, items[2], where)
        if name in _REBUILDS:
            self._hold_tensor(name.rpartition(".")[2], items, where)
        elif name in _CONTAINERS and name != "collections.OrderedDict":
            # Of a tensor it would make an object for each number.
            if not all(isinstance(one, _Tuple) or (isinstance(one, _Made) and "EMPTY" in one.by) for one in items):
                raise RehearsalError(f"it makes a {name} of something else than a list")
        elif name == _ENCODE:
            # Other codecs double what they are given, as often as they are called.
            if not (len(items) == 2 and isinstance(items[0], str) and items[1] in _LATIN_1):
                raise RehearsalError("it encodes something else than a text in latin1")
        elif name in (*_MARKERS, *_SCHEMES) or name in self._value_bytes or name not in self._known:
            raise RehearsalError(f"it calls {name}{where}, which takes as much memory as it is told to")
        return _Made(name)

    def _hold_tensor(self, name: str, items: tuple[object, ...], where: str) -> None:
        if name in _PASSIVE:
            return
        if name in _WRAP:
            if not items or not isinstance(items[0], _Made) or not items[0].by.startswith("torch._"):
                raise RehearsalError(f"it makes a parameter{where} of something else than a tensor")
            return
        if len(items) < 4 or not isinstance(items[0], _Storage):
            raise RehearsalError(f"it makes a tensor{where} without its values")
        storage, shape = items[0], items[2]
        sizes = shape.items if isinstance(shape, _Tuple) else (-1,)
        if len(sizes) > MAX_DIMENSIONS or not all(type(size) is int and size >= 0 for size in sizes):
            raise RehearsalError(f"it makes a tensor{where} of no possible shape")
        held = storage.size_bytes if name == "_rebuild_tensor_v3" else storage.values
        # One number repeated over many places (a stride of 0) is a tensor too, until it is copied.
        if math.prod(int(str(size)) for size in sizes) > held:
            raise RehearsalError(f"it makes a tensor{where} of more numbers than stand in the file")

    def _storage(self, named: object) -> _Storage:
        items = named.items if isinstance(named, _Tuple) else ()
        if len(items) not in (5, 6) or items[0] != "storage" or any(items[5:]):
            raise RehearsalError("it names values in a way that torch.save does not")
        _, kind, key, _, values = items[:5]
        each = self._value_bytes.get(kind.name, 1) if isinstance(kind, _Name) else 0
        if not each or not isinstance(key, str) or type(values) is not int or values < 0:
            raise RehearsalError("it names values in a way that torch.save does not")
        if isinstance(kind, _Name) and kind.name not in self._value_bytes and kind.name != _MARKERS[-1]:
            raise RehearsalError(f"it keeps values in a {kind.name}")
        self._storages[key] = max(values * each, self._storages.get(key, 0))
        if sum(self._storages.values()) > self._file_bytes:
            raise RehearsalError(f"it claims more values than its {self._file_bytes} bytes hold")
        return _Storage(values, values * each)

    def _hold_state(self, of: object, state: object) -> None:
        by = of.by if isinstance(of, _Made) else ""
        if by in self._harmless:
            return
        if by not in {*self._mappings, "collections.OrderedDict"}:
            raise RehearsalError(f"it sets the state of {_told(of)}")
        # An attribute named `items` would stand before the method.
        keys = state.keys if isinstance(state, _Made) and state.by == "EMPTY_DICT" else [None]
        if not all(isinstance(key, str) and not hasattr(OrderedDict, key) for key in keys):
            raise RehearsalError("it sets attributes of a mapping that are the mapping's own")


def _tuple(items: list[Any]) -> _Tuple:
    depth = 1 + max((item.depth for item in items if isinstance(item, _Tuple)), default=0)
    if depth > _MAX_DEPTH:
        raise RehearsalError(f"it nests tuples more than {_MAX_DEPTH} deep")
    return _Tuple(tuple(items), depth)


def _keys_of(mapping: object) -> list[object]:
    if not isinstance(mapping, _Made):
        raise RehearsalError(f"it sets an item of {_told(mapping)}")
    return mapping.keys


def _is_text(stack: list[Any]) -> bool:
    return bool(stack) and isinstance(stack[-1], str)


def _told(value: object) -> str:
    if isinstance(value, _Name):
        return value.name
    return value.by if isinstance(value, _Made) else f"a {type(value).__name__.strip('_').lower()}"
