"""Where graphs lie that ONNX Runtime has optimised on this machine: found by what they are bound to, hash-checked.

Each has a folder `<root>/<bundle>/<digest of its key>/` with `graph.onnx` and `graph.json`; a folder stands whole or
not at all. It is a cache: whatever is wrong with it, the bundle's own model is optimised anew, as without it.
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

from emomusic_edge.artefacts import folder_written_whole, sha256_of
from emomusic_edge.model_file import ModelFile

GRAPH_NAME = "graph.onnx"
RECORD_NAME = "graph.json"
# A record is a page of text; anything larger is not one.
_MAX_RECORD_BYTES = 1 << 20
_DIGEST_DIGITS = 32

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GraphKey:
    """All that an optimised graph is bound to: where one of these differs, the graph is another one.

    Attributes:
        onnx_sha256: of the bundle's `model.onnx`.
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
    """`graph.json`: the key in full, what the graph hashes to, and the model's stamp when it was made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    key: GraphKey
    graph_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
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
        folder = self.folder(bundle, key)
        try:
            with (folder / RECORD_NAME).open("rb") as file:
                record = GraphRecord.model_validate_json(file.read(_MAX_RECORD_BYTES))
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as cause:
            _log.debug("%s is passed over: %s", folder, cause)
            return None
        if record.key != key:
            _log.debug("%s is passed over: it holds the record of another graph", folder)
            return None
        return StoredGraph(ModelFile(folder / GRAPH_NAME, record.graph_sha256), record)

    @contextlib.contextmanager
    def writing(self, bundle: str, key: GraphKey, model: ModelFile) -> Iterator[Path]:
        """Take the graph of a model in: the block writes to the path given; when it ends well the graph is kept.

        All other graphs of the bundle go: they are those of an older model, ONNX Runtime or processor.

        Raises:
            OSError: the folder cannot be written; nothing was kept.
        """
        target = self.folder(bundle, key)
        # Before it is read: what is written to it from now on shows.
        size, written_ns = model.stamp()
        with folder_written_whole(target) as scratch:
            graph = scratch / GRAPH_NAME
            yield graph
            record = GraphRecord(key=key, graph_sha256=sha256_of(graph), model_bytes=size, model_written_ns=written_ns)
            (scratch / RECORD_NAME).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
        for other in target.parent.iterdir():
            # What a living process is just writing begins with a dot.
            if other != target and not other.name.startswith("."):
                shutil.rmtree(other, ignore_errors=True)
