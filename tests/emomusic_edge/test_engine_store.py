"""Engines are found by what they are bound to, and only whole and unaltered."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from stub_models import mc_dropout_manifest

from emomusic_edge.cuda_probe import Gpu
from emomusic_edge.engine_store import (
    BOOT_ID,
    LOADING_NAME,
    PLAN_NAME,
    RECORD_NAME,
    EngineKey,
    EngineRecord,
    EngineStore,
    StoredEngine,
    engine_key,
)
from emomusic_edge.errors import ModelError

ORIN = Gpu("Orin", 8, "8.7", "12.6", "36.4.3")
KEY = EngineKey("a" * 64, "10.3.0", ORIN.platform, ORIN.device, "8.7", "fp16", 1, 64, 128)
PLAN = b"a plan"


def record(key: EngineKey = KEY, plan: bytes = PLAN) -> EngineRecord:
    return EngineRecord(
        key=key,
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        smoke={"difference": 0.001, "reference": "PyTorch"},
        created_at=datetime(2026, 11, 24, tzinfo=timezone.utc),
    )


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "engines")


def test_what_is_kept_is_found(store: EngineStore) -> None:
    folder = store.write("face-x", record(), PLAN)
    assert folder.name == KEY.digest()
    assert sorted(path.name for path in folder.iterdir()) == [RECORD_NAME, PLAN_NAME]
    found = store.find("face-x", KEY, 64)
    assert isinstance(found, StoredEngine)
    assert (found.plan, found.record, found.folder) == (PLAN, record(), folder)


def test_the_record_says_all_of_the_key(store: EngineStore) -> None:
    told = json.loads((store.write("face-x", record(), PLAN) / RECORD_NAME).read_text())
    assert told["key"] == dataclasses.asdict(KEY)
    assert told["plan_sha256"] == hashlib.sha256(PLAN).hexdigest()
    assert told["smoke"]["difference"] == 0.001


OTHERS = {
    "onnx_sha256": "b" * 64,
    "tensorrt": "10.16.1",
    "platform": "L4T 38.2, CUDA 13.2",
    "device": "Orin, 16 multiprocessors",
    "compute_capability": "11.0",
    "precision": "fp32",
}


@pytest.mark.parametrize("field", OTHERS)
def test_an_engine_of_anything_else_is_passed_over_with_the_reason(store: EngineStore, field: str) -> None:
    store.write("face-x", record(), PLAN)
    wanted = dataclasses.replace(KEY, **{field: OTHERS[field]})
    assert wanted.digest() != KEY.digest()
    reason = store.find("face-x", wanted, 64)
    assert isinstance(reason, str)
    assert str(getattr(KEY, field))[:12] in reason
    assert OTHERS[field][:12] in reason


@pytest.mark.parametrize(("samples", "fits"), [(0, False), (1, True), (128, True), (129, False)])
def test_the_range_of_samples_counts(store: EngineStore, samples: int, fits: bool) -> None:
    store.write("face-x", record(), PLAN)
    found = store.find("face-x", KEY, samples)
    assert isinstance(found, StoredEngine) == fits
    assert fits or f"{samples} are asked for" in str(found)


def test_the_narrowest_that_fits_is_taken(store: EngineStore) -> None:
    for most in (128, 32, 64):
        store.write("face-x", record(dataclasses.replace(KEY, samples_opt=20, samples_max=most)), PLAN)
    found = store.find("face-x", KEY, 40)
    assert isinstance(found, StoredEngine)
    assert found.record.key.samples_max == 64


def test_none_yet(store: EngineStore) -> None:
    assert store.find("face-x", KEY, 64) == "face-x has no engine yet"


def test_an_altered_plan_is_told_and_never_returned(store: EngineStore) -> None:
    folder = store.write("face-x", record(), PLAN)
    (folder / PLAN_NAME).write_bytes(b"b plan")
    reason = store.find("face-x", KEY, 64)
    assert isinstance(reason, str)
    assert "is not the file its record describes" in reason


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff", b'{"key": 3}', b" " * (1 << 21)], ids=["", "{}", "[]", "ff", "key", "large"]
)
def test_a_broken_record_is_a_reason(store: EngineStore, content: bytes) -> None:
    folder = store.write("face-x", record(), PLAN)
    (folder / RECORD_NAME).write_bytes(content)
    assert RECORD_NAME in str(store.find("face-x", KEY, 64))


def test_a_missing_plan_is_a_reason(store: EngineStore) -> None:
    (store.write("face-x", record(), PLAN) / PLAN_NAME).unlink()
    assert PLAN_NAME in str(store.find("face-x", KEY, 64))


def test_a_record_in_another_folder_is_a_reason(store: EngineStore) -> None:
    folder = store.write("face-x", record(), PLAN)
    folder.rename(folder.with_name("0" * 32))
    assert "another engine" in str(store.find("face-x", KEY, 64))


def test_a_broken_one_does_not_hide_a_whole_one(store: EngineStore) -> None:
    broken = store.write("face-x", record(dataclasses.replace(KEY, tensorrt="10.16.1")), PLAN)
    (broken / RECORD_NAME).write_text("{")
    (broken.parent / ".scratch").mkdir()
    (broken.parent / "a file").write_text("")
    store.write("face-x", record(), PLAN)
    assert isinstance(store.find("face-x", KEY, 64), StoredEngine)


def found(store: EngineStore) -> StoredEngine:
    engine = store.find("face-x", KEY, 64)
    assert isinstance(engine, StoredEngine), engine
    return engine


def crashes(store_root: Path, boot_id: Path = BOOT_ID) -> None:
    """Load the engine in a process of its own, which ends there with a segmentation fault."""
    code = (
        f"import os\nfrom test_engine_store import *\nstore = EngineStore(Path({str(store_root)!r}), "
        f"Path({str(boot_id)!r}))\nwith store.loading(found(store)):\n    os.kill(os.getpid(), 11)"
    )
    path = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    assert subprocess.run([sys.executable, "-c", code], env=path, check=False).returncode == -11


def test_one_that_ended_its_process_twice_is_not_loaded_again(store: EngineStore, tmp_path: Path) -> None:
    folder = store.write("face-x", record(), PLAN)
    crashes(tmp_path / "engines")
    assert (folder / LOADING_NAME).exists()
    assert found(store).folder == folder
    crashes(tmp_path / "engines")
    assert "ended the process that loaded it, twice" in str(store.find("face-x", KEY, 64))
    store.write("face-x", record(), PLAN)
    assert found(store).folder == folder


def test_a_load_that_went_well_forgives_a_crash(store: EngineStore, tmp_path: Path) -> None:
    store.write("face-x", record(), PLAN)
    for _ in range(2):
        crashes(tmp_path / "engines")
        with store.loading(found(store)):
            pass


def test_power_cuts_are_no_crashes(tmp_path: Path) -> None:
    boot = tmp_path / "boot_id"
    EngineStore(tmp_path / "engines").write("face-x", record(), PLAN)
    for start in range(3):
        boot.write_text(f"{start}\n")
        found(EngineStore(tmp_path / "engines", boot))
        crashes(tmp_path / "engines", boot)
    # twice in the same one
    crashes(tmp_path / "engines", boot)
    assert isinstance(EngineStore(tmp_path / "engines", boot).find("face-x", KEY, 64), str)
    boot.write_text("another\n")
    found(EngineStore(tmp_path / "engines", boot))


def test_another_process_with_the_same_id_does_not_hide_a_crash(store: EngineStore) -> None:
    folder = store.write("face-x", record(), PLAN)
    with store.loading(found(store)):
        mark = json.loads((folder / LOADING_NAME).read_text())
    assert mark["crashes"] == 0
    assert mark["process"].split()[0] == str(os.getpid())
    # a container's first process has the same id each time, and another start time
    (folder / LOADING_NAME).write_text(json.dumps({**mark, "process": f"{os.getpid()} 1", "crashes": 1}))
    assert isinstance(store.find("face-x", KEY, 64), str)
    (folder / LOADING_NAME).write_text(json.dumps({**mark, "crashes": 1}))
    found(store)


@pytest.mark.parametrize("content", ["", "1234", "[]", "{", '{"boot": 1}', "\xff", '{"crashes": Infinity}'])
def test_a_mark_that_says_nothing_counts_nothing(store: EngineStore, content: str) -> None:
    folder = store.write("face-x", record(), PLAN)
    (folder / LOADING_NAME).write_text(content, encoding="latin-1")
    found(store)
    text = json.dumps({"boot": BOOT_ID.read_text().strip(), "process": "", "crashes": float("inf")})
    (folder / LOADING_NAME).write_text(text)
    found(store)


def test_a_load_that_only_fails_leaves_no_mark(store: EngineStore) -> None:
    store.write("face-x", record(), PLAN)
    with contextlib.suppress(ModelError), store.loading(found(store)):
        # another process may look meanwhile
        assert (found(store).folder / LOADING_NAME).exists()
        raise ModelError("it does not load")
    assert not (found(store).folder / LOADING_NAME).exists()


def test_a_store_that_may_only_be_read_will_do(store: EngineStore) -> None:
    folder = store.write("face-x", record(), PLAN)
    (folder / LOADING_NAME).mkdir()
    with store.loading(found(store)):
        pass


def test_the_same_key_is_replaced(store: EngineStore) -> None:
    store.write("face-x", record(), PLAN)
    folder = store.write("face-x", record(plan=b"new"), b"new")
    assert len(list(folder.parent.iterdir())) == 1
    found = store.find("face-x", KEY, 1)
    assert isinstance(found, StoredEngine)
    assert found.plan == b"new"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="could not be written"):
        EngineStore(tmp_path / "file").write("face-x", record(), PLAN)


def test_the_key_of_a_bundle() -> None:
    manifest = mc_dropout_manifest()
    key = engine_key(manifest, ORIN, "10.3.0", (1, 64, 128))
    assert key == EngineKey("0" * 64, "10.3.0", ORIN.platform, ORIN.device, "8.7", "fp32", 1, 64, 128)
    assert engine_key(manifest, ORIN, "10.3.0").difference(key) == ""
