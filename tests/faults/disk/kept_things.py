"""Everything that the product keeps on a disk: how an old one is made, how a new one is written, what is read."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import onnxruntime as ort
from sample_index import sample_index
from snapshots import snapshot
from stub_models import mc_dropout_graph, mc_dropout_manifest, write_mc_dropout_bundle

from emomusic_edge.cpu_identity import cpu_identity
from emomusic_edge.deam_index.index_file import read_index, write_index
from emomusic_edge.deam_index.loudness import Loudness
from emomusic_edge.deam_index.loudness_file import LoudnessWriter, Measured, read_lines
from emomusic_edge.deam_index.roots_file import read_roots, write_roots
from emomusic_edge.engine_store import EngineKey, EngineRecord, EngineStore
from emomusic_edge.export.bundle import write_bundle
from emomusic_edge.graph_store import GraphKey, GraphStore
from emomusic_edge.installation.executor import carry_out
from emomusic_edge.installation.steps import SaveCopy, WriteFile
from emomusic_edge.manifest import read_bundle
from emomusic_edge.model_file import open_bundle
from emomusic_edge.runtime.calibration import Calibration, read_calibration, write_calibration
from emomusic_edge.runtime.choice.feedback import Counts
from emomusic_edge.runtime.choice.feedback_store import FeedbackStore
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.home_assistant.remembered import Place, Remembered, RememberedFile
from emomusic_edge.runtime.privacy.history import HistoryFile
from emomusic_edge.runtime.privacy.minute import Minute
from emomusic_edge.runtime.privacy.paused_state import CameraWishes, KeptWishes
from emomusic_edge.runtime.record import RecordWriter, read_record
from emomusic_edge.runtime.summary import write_summary

NONE, OLD, NEW = "none", "old", "new"


@dataclass(frozen=True)
class KeptThing:
    """One kind of file or folder.

    Attributes:
        old: brings a folder to the old state; nothing where there is no older one.
        new: writes the new one, and returns why it could not, "" when it says nothing; or raises.
        read: what a reader finds, `none`, `old` or `new`; raises where it is torn.
        between: what may stand as well.
    """

    name: str
    old: Callable[[Path], object]
    new: Callable[[Path], str]
    read: Callable[[Path], str]
    between: str = ""


def _calibration(mean: float) -> Calibration:
    return Calibration(
        person="anna",
        neutral_valence=mean,
        neutral_arousal=2.0,
        sd_valence=0.1,
        sd_arousal=0.1,
        shift_valence=0.0,
        shift_arousal=0.0,
        sure_frames=100,
        seconds=60.0,
    )


def _calibrate(folder: Path, mean: float) -> str:
    write_calibration(folder / "anna.json", _calibration(mean))
    return ""


def _calibrated(folder: Path) -> str:
    found = read_calibration(folder / "anna.json")
    return NONE if found is None else {0.1: OLD, 0.2: NEW}[found.neutral_valence]


def _wish(folder: Path, wishes: CameraWishes) -> str:
    kept = KeptWishes(folder / "camera.json")
    kept.set(wishes)
    return kept.reason


def _wished(folder: Path) -> str:
    kept = KeptWishes(folder / "camera.json")
    assert not kept.reason, kept.reason
    return {CameraWishes(): NONE, CameraWishes(on=False): OLD, CameraWishes(paused=True): NEW}[kept.now]


def _remember(folder: Path, node: str) -> str:
    file = RememberedFile(folder / "home-assistant.json")
    file.save(Remembered(serial="0" * 12, current=Place(prefix="homeassistant", node=node)))
    return file.reason


def _remembered(folder: Path) -> str:
    file = RememberedFile(folder / "home-assistant.json")
    found = file.load()
    assert not file.reason, file.reason
    return NONE if found.current is None else found.current.node


def _like(folder: Path, song: str) -> str:
    FeedbackStore(folder / "likes.sqlite", "library").add(song, Counts(likes=1))
    return ""


def _liked(folder: Path) -> str:
    store = FeedbackStore(folder / "likes.sqlite", "library")
    found = set(store.load())
    assert not store.notice, store.notice
    return NEW if NEW in found else OLD if OLD in found else NONE


def _forget_likes(folder: Path) -> str:
    FeedbackStore(folder / "likes.sqlite", "library").forget()
    return ""


def _forgotten_likes(folder: Path) -> str:
    return {OLD: OLD, NONE: NEW}[_liked(folder)]


_HOUR_S = 3600.0
_NOW_S = 1_800_000_000.0


def _add_minute(folder: Path, minute: int) -> str:
    row = Minute(int(_NOW_S) + 60 * minute, 0.5, 2.5, 600, 300)
    HistoryFile(folder / "history.sqlite", kept_s=_HOUR_S).add(row, _NOW_S + 60 * minute)
    return ""


def _minutes(folder: Path) -> str:
    path = folder / "history.sqlite"
    if not path.exists() or not path.stat().st_size:
        return NONE
    # Nothing in the product reads it; a reader of SQLite's own brings back what a killed writer left half done.
    with contextlib.closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        found = [row[0] for row in database.execute("SELECT start_s FROM minutes ORDER BY start_s")] if tables else []
    return NONE if not found else {1: OLD, 2: NEW}[(found[-1] - int(_NOW_S)) // 60]


def _forget_minutes(folder: Path) -> str:
    HistoryFile(folder / "history.sqlite", kept_s=_HOUR_S).remove()
    return ""


def _forgotten_minutes(folder: Path) -> str:
    return {OLD: OLD, NONE: NEW}[_minutes(folder)]


def _index(folder: Path, name: str) -> str:
    write_index(folder / "songs.npz", sample_index(name=name))
    return ""


def _indexed(folder: Path) -> str:
    path = folder / "songs.npz"
    return read_index(path).name if path.exists() else NONE


def _root(folder: Path, name: str) -> str:
    write_roots(folder / "songs.npz", {name: folder})
    return ""


def _rooted(folder: Path) -> str:
    return next(iter(read_roots(folder / "songs.npz")), NONE)


def _measured(file: str) -> Measured:
    return Measured(file, 1000, 1, Loudness(-14.0, -1.0))


def _measure(folder: Path, file: str) -> str:
    with LoudnessWriter(folder / "songs.loudness.jsonl") as writer:
        writer.add(_measured(file))
    return ""


def _compact(folder: Path, file: str) -> str:
    with LoudnessWriter(folder / "songs.loudness.jsonl") as writer:
        writer.compact({file: _measured(file)})
    return ""


def _loudness(folder: Path) -> str:
    found = {line.file for line in read_lines(folder / "songs.loudness.jsonl")}
    return NEW if NEW in found else OLD if OLD in found else NONE


def _record(folder: Path, rows: int) -> str:
    with RecordWriter(folder / "run.csv") as record:
        for number in range(rows):
            record.write(replace(snapshot(), seq=number, t_s=float(number)))
    return record.reason


def _recorded(folder: Path) -> str:
    path = folder / "run.csv"
    # A record is begun anew by each run: from its first row on, the rows that are there are whole.
    if not path.exists() or path.read_text().count("\n") < 2:
        return NONE
    return NEW if len(read_record(path)) == 3 else OLD


def _summarise(folder: Path, word: str) -> str:
    write_summary(folder / "run.json", {"word": word})
    return ""


def _summarised(folder: Path) -> str:
    path = folder / "run.json"
    return path.read_text().split('"')[3] if path.exists() else NONE


def _bundled(folder: Path) -> str:
    if not (folder / "bundle").exists():
        return NONE
    return {"face-stub": OLD, "scene-stub": NEW}[read_bundle(folder / "bundle")[0].name]


def _bundle(folder: Path) -> str:
    write_bundle(folder / "bundle", mc_dropout_graph(), mc_dropout_manifest("scene"))
    return ""


_ENGINE = EngineKey("a" * 64, "10.3.0", "l4t", "orin", "8.7", "fp16", 1, 64, 128)


def _engine(folder: Path, plan: bytes) -> str:
    digest = hashlib.sha256(plan).hexdigest()
    made = EngineRecord(
        key=_ENGINE, plan_sha256=digest, smoke={}, created_at=datetime(2026, 11, 24, tzinfo=timezone.utc)
    )
    EngineStore(folder).write("face", made, plan)
    return ""


def _engined(folder: Path) -> str:
    found = EngineStore(folder).find("face", _ENGINE, 64)
    if isinstance(found, str):
        assert "has no engine yet" in found, found
        return NONE
    return found.plan.decode()


def _stub_graph(folder: Path) -> str:
    """Load a model as a run does: what cannot be kept costs the next start time, and nothing else."""
    if not (folder / "stub").exists():
        write_mc_dropout_bundle(folder / "stub")
    OrtEngine(
        open_bundle(folder / "stub")[1],
        name="stub",
        threads=1,
        providers=("CPUExecutionProvider",),
        graphs=GraphStore(folder / "graphs"),
    )
    return ""


def _graphed(folder: Path) -> str:
    model = open_bundle(folder / "stub")[1]
    key = GraphKey(model.sha256, ort.__version__, cpu_identity(), "all")
    found = GraphStore(folder / "graphs").find("stub", key)
    if found is None:
        return NONE
    found.file.check()
    return NEW


_CONFIG = Path("/etc/emomusic-edge/drop-in.conf")


def _install(folder: Path, content: str) -> str:
    copy = _CONFIG.with_name("drop-in.conf.saved")
    steps = [SaveCopy(_CONFIG, copy)] if (folder / "etc").exists() else []
    carry_out([*steps, WriteFile(_CONFIG, content, why="a test")], lambda line: None, root=folder)
    return ""


def _installed(folder: Path) -> str:
    path = folder / _CONFIG.relative_to("/")
    copy = path.with_name(path.name + ".saved")
    assert not copy.exists() or copy.read_text() in (OLD, NEW)
    if not path.exists():
        return NONE
    # What its owner had is in the copy before it is written over.
    assert path.read_text() == OLD or copy.exists()
    return path.read_text()


THINGS = (
    KeptThing("calibration", lambda f: _calibrate(f, 0.1), lambda f: _calibrate(f, 0.2), _calibrated),
    KeptThing("first calibration", lambda f: None, lambda f: _calibrate(f, 0.2), _calibrated),
    KeptThing(
        "camera.json",
        lambda f: _wish(f, CameraWishes(on=False)),
        lambda f: _wish(f, CameraWishes(paused=True)),
        _wished,
    ),
    KeptThing("home-assistant.json", lambda f: _remember(f, OLD), lambda f: _remember(f, NEW), _remembered),
    KeptThing("first like", lambda f: None, lambda f: _like(f, NEW), _liked),
    KeptThing("like", lambda f: _like(f, OLD), lambda f: _like(f, NEW), _liked),
    KeptThing("forgotten likes", lambda f: _like(f, OLD), _forget_likes, _forgotten_likes),
    KeptThing("first minute", lambda f: None, lambda f: _add_minute(f, 2), _minutes),
    KeptThing("minute", lambda f: _add_minute(f, 1), lambda f: _add_minute(f, 2), _minutes),
    KeptThing("forgotten history", lambda f: _add_minute(f, 1), _forget_minutes, _forgotten_minutes),
    KeptThing("index", lambda f: _index(f, OLD), lambda f: _index(f, NEW), _indexed),
    KeptThing("roots", lambda f: _root(f, OLD), lambda f: _root(f, NEW), _rooted),
    KeptThing("loudness line", lambda f: _measure(f, OLD), lambda f: _measure(f, NEW), _loudness),
    KeptThing("loudness compacted", lambda f: _measure(f, OLD), lambda f: _compact(f, NEW), _loudness),
    KeptThing("record", lambda f: _record(f, 1), lambda f: _record(f, 3), _recorded, between=NONE),
    KeptThing("summary", lambda f: _summarise(f, OLD), lambda f: _summarise(f, NEW), _summarised),
    KeptThing("bundle", lambda f: write_mc_dropout_bundle(f / "bundle", "face"), _bundle, _bundled),
    KeptThing("engine", lambda f: _engine(f, b"old"), lambda f: _engine(f, b"new"), _engined),
    KeptThing("optimised graph", lambda f: write_mc_dropout_bundle(f / "stub"), _stub_graph, _graphed),
    KeptThing("installed file", lambda f: _install(f, OLD), lambda f: _install(f, NEW), _installed),
)
