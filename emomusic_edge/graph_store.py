"""Where graphs lie that ONNX Runtime has optimised on this machine: found by what they are bound to, hash-checked.

Each has a folder `<root>/<bundle>/<digest of its key>/` with `graph.onnx` and `graph.json`; a folder stands whole or
not at all. Where a graph answered otherwise than its model, only the record is kept, which says so. It is a cache:
whatever is wrong with it, the bundle's own model is optimised anew, as without it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emomusic_edge.artefacts import folder_written_whole, sha256_of, write_atomic
from emomusic_edge.model_file import ModelFile

GRAPH_NAME = "graph.onnx"
RECORD_NAME = "graph.json"
# A record is a page of text; anything larger is not one.
_MAX_RECORD_BYTES = 1 << 20
_DIGEST_DIGITS = 32
# Of one bundle name: bundles in several folders may bear it, and each new model leaves one behind.
_MOST_GRAPHS = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GraphKey:
    """All that an optimised graph is bound to: where one of these differs, the graph is another one.

    Attributes:
        onnx_sha256: of the bundle's model file.
        onnxruntime: the version that optimised it, e.g. `1.28.0`.
        cpu: see cpu_identity; kernels and layouts are chosen by the processor's instructions.
        optimisation: the level, and whatever else the caller sets that changes the graph.
    """

    onnx_sha256: str
    onnxruntime: str
    cpu: str
    optimisation: str

    def digest(self) -> str:
        """A name for the key, 32 hex digits of a sha256."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]


class GraphRecord(BaseModel):
    """`graph.json`: the key in full, what the graph hashes to, and the model's stamp when it was last hashed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    key: GraphKey
    graph_sha256: str | None = Field(
        pattern=r"^[0-9a-f]{64}$", description="null: the graph answered otherwise than the model, and is not kept"
    )
    model_bytes: int
    model_written_ns: int


@dataclass(frozen=True, slots=True)
class StoredGraph:
    """A graph that was found; opening its file checks its content."""

    file: ModelFile
    record: GraphRecord

    def is_of(self, model: ModelFile) -> bool:
        """Whether the model's file looks as it did when its content was last hashed."""
        return model.stamp() == (self.record.model_bytes, self.record.model_written_ns)


class GraphStore:
    """The optimised graphs of a cache folder. Any number of processes may read while one writes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, bundle: str, key: GraphKey) -> Path:
        """Where the graph of a bundle for a key lies, or would lie."""
        return self._root / bundle / key.digest()

    def find(self, bundle: str, key: GraphKey) -> StoredGraph | None:
        """The graph of a bundle; None when there is none with a sound record."""
        record = self._record(bundle, key)
        if record is None or record.graph_sha256 is None:
            return None
        return StoredGraph(ModelFile(self.folder(bundle, key) / GRAPH_NAME, record.graph_sha256), record)

    def is_refused(self, bundle: str, key: GraphKey) -> bool:
        """Whether the graph for a key answered otherwise than its model, see `refuse`."""
        record = self._record(bundle, key)
        return record is not None and record.graph_sha256 is None

    def refuse(self, bundle: str, key: GraphKey, model: ModelFile) -> None:
        """Keep, in a graph's place, that it answered otherwise than its model: nobody needs to make it again.

        Raises:
            OSError: the folder cannot be written; nothing was kept.
        """
        target = self.folder(bundle, key)
        with folder_written_whole(target) as scratch:
            _write_record(scratch, key, None, model.stamp())
        _remove_others(target, key)

    def stamp_anew(self, found: StoredGraph, stamp: tuple[int, int]) -> None:
        """Note how the model's file looked before its content was hashed once more, so that it need not be again.

        Raises:
            OSError: the record cannot be written; the old one stands.
        """
        record = found.record.model_copy(update={"model_bytes": stamp[0], "model_written_ns": stamp[1]})
        write_atomic(found.file.path.with_name(RECORD_NAME), _text_of(record))

    @contextlib.contextmanager
    def writing(self, bundle: str, key: GraphKey, model: ModelFile) -> Iterator[Path]:
        """Take the graph of a model in: the block writes to the path given; when it ends well the graph is kept.

        The bundle's graphs for another ONNX Runtime or processor go, and the oldest beyond three: two bundles of one
        name in different folders keep theirs.

        Raises:
            OSError: the folder cannot be written; nothing was kept.
        """
        target = self.folder(bundle, key)
        # Before it is read: what is written to it from now on shows.
        stamp = model.stamp()
        with folder_written_whole(target) as scratch:
            graph = scratch / GRAPH_NAME
            yield graph
            _write_record(scratch, key, sha256_of(graph), stamp)
        _remove_others(target, key)

    def _record(self, bundle: str, key: GraphKey) -> GraphRecord | None:
        """What is known of the graph for a key; None where nothing is, or the record is not sound."""
        folder = self.folder(bundle, key)
        record = _read_record(folder)
        if record is not None and record.key != key:
            _log.debug("%s is passed over: it holds the record of another graph", folder)
            return None
        return record


def _read_record(folder: Path) -> GraphRecord | None:
    try:
        with (folder / RECORD_NAME).open("rb") as file:
            return GraphRecord.model_validate_json(file.read(_MAX_RECORD_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as cause:
        _log.debug("%s is passed over: %s", folder, cause)
        return None


def _write_record(folder: Path, key: GraphKey, graph_sha256: str | None, stamp: tuple[int, int]) -> None:
    record = GraphRecord(key=key, graph_sha256=graph_sha256, model_bytes=stamp[0], model_written_ns=stamp[1])
    (folder / RECORD_NAME).write_text(_text_of(record), encoding="utf-8")


def _text_of(record: GraphRecord) -> str:
    return record.model_dump_json(indent=2) + "\n"


def _remove_others(target: Path, key: GraphKey) -> None:
    """Remove what nothing here runs any more from beside `target`, and of the rest the oldest."""
    usable: list[Path] = []
    for other in target.parent.iterdir():
        # What a living process is just writing begins with a dot.
        if other == target or other.name.startswith("."):
            continue
        record = _read_record(other)
        if record is not None and (record.key.onnxruntime, record.key.cpu) == (key.onnxruntime, key.cpu):
            usable.append(other)
        else:
            shutil.rmtree(other, ignore_errors=True)
    for old in sorted(usable, key=_written_ns, reverse=True)[_MOST_GRAPHS - 1 :]:
        shutil.rmtree(old, ignore_errors=True)


def _written_ns(folder: Path) -> int:
    """When the record of a folder was written; 0 where another process has removed it."""
    try:
        return (folder / RECORD_NAME).stat().st_mtime_ns
    except OSError:
        return 0
