"""Where engines lie that were built on this device: found by what they are bound to, hash-checked before any parser.

An engine is TensorRT's form of one bundle's model for one GPU, one TensorRT and one precision. Each has a folder
`<root>/<bundle>/<digest of its key>/` with `engine.plan` and `engine.json`; a folder stands whole or not at all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emomusic_edge.artefacts import folder_written_whole, read_verified
from emomusic_edge.cuda_probe import Gpu
from emomusic_edge.errors import ModelError
from emomusic_edge.manifest import MODEL_NAME, Manifest

PLAN_NAME = "engine.plan"
RECORD_NAME = "engine.json"
LOADING_NAME = "loading"
# Another one at each start of the machine.
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# One crash may have been the power's, the memory's or somebody's who ended the process.
_CRASHES_ALLOWED = 1
# A record is a page of text; anything larger is not one.
_MAX_RECORD_BYTES = 1 << 20
_DIGEST_DIGITS = 32


@dataclass(frozen=True, slots=True)
class EngineKey:
    """All that an engine is bound to: where one of these differs, the engine is another one.

    Attributes:
        onnx_sha256: of the bundle's `model.onnx`.
        tensorrt: the version that built it, e.g. `10.3.0`.
        platform: see cuda_probe.Gpu.platform.
        device: see cuda_probe.Gpu.device.
        compute_capability: e.g. `8.7`.
        precision: the bundle's.
        samples_min: the fewest mask rows T it takes; 0 for a model without masks.
        samples_opt: the T it was tuned for; 0 likewise.
        samples_max: the most; 0 likewise.
    """

    onnx_sha256: str
    tensorrt: str
    platform: str
    device: str
    compute_capability: str
    precision: str
    samples_min: int = 0
    samples_opt: int = 0
    samples_max: int = 0

    def digest(self) -> str:
        """A name for the key, 32 hex digits of a sha256."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]

    def refusal(self, samples: int) -> str:
        """Why this engine does not take `samples` mask rows; empty when it does. 0 stands for a model without masks."""
        if self.samples_min <= samples <= self.samples_max:
            return ""
        return f"it takes {self.samples_min} to {self.samples_max} samples, {samples} are asked for"

    def difference(self, wanted: EngineKey) -> str:
        """What keeps this engine from being the one that is wanted, T aside; empty when nothing does."""
        parts = {
            "onnx_sha256": "model",
            "tensorrt": "TensorRT",
            "platform": "system",
            "device": "GPU",
            "compute_capability": "compute capability",
            "precision": "precision",
        }
        for field, word in parts.items():
            own, other = getattr(self, field), getattr(wanted, field)
            if own != other:
                short = 12 if field == "onnx_sha256" else None
                return f"it was built for {word} {own[:short]}, here it is {other[:short]}"
        return ""


def engine_key(manifest: Manifest, gpu: Gpu, tensorrt: str, samples: tuple[int, int, int] | None = None) -> EngineKey:
    """The key of a bundle's engine on this machine.

    Args:
        manifest: the bundle's.
        gpu: this machine's.
        tensorrt: the version of TensorRT.
        samples: fewest, best and most T of an engine to keep; None for one to look for, and without masks.
    """
    least, best, most = samples if samples is not None and manifest.mc_dropout is not None else (0, 0, 0)
    return EngineKey(
        onnx_sha256=manifest.files[MODEL_NAME],
        tensorrt=tensorrt,
        platform=gpu.platform,
        device=gpu.device,
        compute_capability=gpu.compute_capability,
        precision=manifest.precision,
        samples_min=least,
        samples_opt=best,
        samples_max=most,
    )


class EngineRecord(BaseModel):
    """`engine.json`: the key in full, what the plan hashes to, and how the smoke run went."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_version: Literal[1] = 1
    key: EngineKey
    plan_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    smoke: dict[str, float | int | str] = Field(description="figures of the smoke run, by name")
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredEngine:
    """An engine whose plan was hash-checked when it was read."""

    folder: Path
    record: EngineRecord
    plan: bytes


class EngineStore:
    """The engines of a data folder. Any number of processes may read while one writes."""

    def __init__(self, root: Path, boot_id: Path = BOOT_ID) -> None:
        self._root = root
        self._boot = _text_of(boot_id).strip()

    def folder(self, bundle: str, key: EngineKey) -> Path:
        """Where the engine of a bundle for a key lies, or would lie."""
        return self._root / bundle / key.digest()

    def timing_cache(self, compute_capability: str) -> Path:
        """Where the measurements lie that builds for one kind of GPU share; TensorRT itself knows which it may use."""
        return self._root / f"timing-sm{compute_capability.replace('.', '')}.cache"

    def write(self, bundle: str, record: EngineRecord, plan: bytes) -> Path:
        """Keep an accepted engine; one of the same key is replaced in one step.

        Args:
            bundle: the bundle's name.
            record: says what `plan` hashes to.
            plan: the serialized engine.

        Returns:
            Its folder.

        Raises:
            ModelError: the folder cannot be written.
        """
        target = self.folder(bundle, record.key)
        try:
            with folder_written_whole(target) as scratch:
                (scratch / PLAN_NAME).write_bytes(plan)
                (scratch / RECORD_NAME).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
        except OSError as cause:
            raise ModelError(
                f"Engine {target} could not be written: {cause.strerror or cause}.",
                mend="free some space, or name another folder: EMOMUSIC_PATHS__DATA_DIR=/some/folder",
            ) from cause
        return target

    def find(self, bundle: str, wanted: EngineKey, samples: int) -> StoredEngine | str:
        """The engine of a bundle that serves `samples` mask rows, or one line that says why there is none.

        Args:
            bundle: the bundle's name.
            wanted: what it must be bound to; its T range is not looked at.
            samples: T, 0 for a model without masks.
        """
        found: list[StoredEngine] = []
        reasons: list[str] = []
        for folder in self._folders(bundle):
            try:
                record = _read_record(folder)
                reason = record.key.difference(wanted) or record.key.refusal(samples) or self._crashed(folder)
                if reason:
                    reasons.append(reason)
                    continue
                found.append(
                    StoredEngine(folder, record, read_verified(folder / PLAN_NAME, record.plan_sha256, ModelError))
                )
            except ModelError as error:
                # An altered engine is told before one that merely belongs elsewhere.
                reasons.insert(0, str(error).rstrip("."))
        if found:
            return min(found, key=lambda engine: (engine.record.key.samples_max, engine.folder.name))
        return f"the engine of {bundle} does not fit: {reasons[0]}" if reasons else f"{bundle} has no engine yet"

    @contextlib.contextmanager
    def loading(self, engine: StoredEngine) -> Iterator[None]:
        """Around the loading and the first inference of an engine: one that ends its process there leaves a mark.

        One that did so twice since the machine started is not found any more, or a service that its manager starts
        again would load it again, and end again. A loss of power is no crash: with it, what was counted is over.
        """
        mark = engine.folder / LOADING_NAME
        written = {"boot": self._boot, "process": _process(os.getpid()), "crashes": self._crashes(engine.folder)}
        with contextlib.suppress(OSError):
            mark.write_text(json.dumps(written), encoding="utf-8")
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                mark.unlink()

    def _crashed(self, folder: Path) -> str:
        """Why an engine is not to be loaded again; empty when nothing speaks against it."""
        if self._crashes(folder) <= _CRASHES_ALLOWED:
            return ""
        return "it ended the process that loaded it, twice since this machine started"

    def _crashes(self, folder: Path) -> int:
        """How many processes an engine ended since the machine started, one after the other."""
        try:
            mark = json.loads(_text_of(folder / LOADING_NAME))
            boot, process, crashes = str(mark["boot"]), str(mark["process"]), int(mark["crashes"])
        except (ValueError, TypeError, KeyError, OverflowError):
            return 0
        if boot != self._boot:
            return 0
        still_loading = process == _process(process.partition(" ")[0])
        return crashes if still_loading else crashes + 1

    def _folders(self, bundle: str) -> list[Path]:
        try:
            return sorted(path for path in (self._root / bundle).iterdir() if path.name[0] != "." and path.is_dir())
        except OSError:
            return []


def _text_of(path: Path) -> str:
    """What a small file says; empty when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _process(pid: int | str) -> str:
    """A process's id and start time: ids come back, in a container that starts again at once. Empty: there is none."""
    # proc(5): after the program's name in brackets, the start time is the 20th field.
    fields = _text_of(Path("/proc", str(pid), "stat")).rpartition(")")[2].split()
    return f"{pid} {fields[19]}" if len(fields) > 19 else ""


def _read_record(folder: Path) -> EngineRecord:
    path = folder / RECORD_NAME
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_RECORD_BYTES + 1)
    except OSError as cause:
        raise ModelError(f"{path} cannot be read: {cause.strerror or cause}.") from cause
    if len(text) > _MAX_RECORD_BYTES:
        raise ModelError(f"{path} is larger than a page of text.")
    try:
        record = EngineRecord.model_validate_json(text)
    except ValidationError as cause:
        raise ModelError(f"{path} is not a valid record: {cause.errors()[0]['msg']}.") from cause
    if record.key.digest() != folder.name:
        raise ModelError(f"{path} is the record of another engine.")
    return record
