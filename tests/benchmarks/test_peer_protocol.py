"""Workers that answer, fail, die, hang and print rubbish: each becomes figures or one line, and none outlives a run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from side_by_side.worker_process import PeerError, WorkerProcess, resident_mib

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE.parents[1] / "benchmarks")}


@contextlib.contextmanager
def stub(mode: str, folder: Path) -> Iterator[WorkerProcess]:
    command = [sys.executable, str(HERE / "stub_peer.py"), mode]
    with WorkerProcess("stub", command, folder / "stub.log", ENVIRONMENT) as worker:
        yield worker


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_until_gone(pids: list[int]) -> None:
    end = time.monotonic() + 30
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < end, f"{[pid for pid in pids if alive(pid)]} still run"
        time.sleep(0.02)


def test_a_worker_says_what_it_is_and_times_its_runs(tmp_path: Path) -> None:
    with stub("well", tmp_path) as worker:
        loaded = worker.load()
        assert (loaded.about, loaded.facts) == ("stub 1.0", {"number": 7})
        assert "quick" in loaded.cases
        times = worker.run("quick", 5)
        assert len(times) == 5
        assert all(time >= 0 for time in times)
        assert worker.resident_mib() is not None
        assert worker.cpu_s() > 0
        assert worker.threads() >= 1
    assert not alive(worker.pid)
    assert resident_mib(worker.pid) is None
    assert worker.threads() == 0


def test_what_a_library_prints_is_no_answer(tmp_path: Path) -> None:
    with stub("well", tmp_path) as worker:
        worker.load()
        assert len(worker.run("prints", 2)) == 2
    assert "chatter of a library" in (tmp_path / "stub.log").read_text()


def test_a_worker_lives_on_after_a_run_that_failed(tmp_path: Path) -> None:
    with stub("well", tmp_path) as worker:
        worker.load()
        with pytest.raises(PeerError, match=r"stub failed: RuntimeError: no such luck$"):
            worker.run("fails", 1)
        assert len(worker.run("quick", 1)) == 1


def test_a_case_that_is_none_is_told(tmp_path: Path) -> None:
    with stub("well", tmp_path) as worker:
        worker.load()
        with pytest.raises(PeerError, match="KeyError"):
            worker.run("nothing", 1)


def test_a_worker_that_dies_is_told_with_its_status(tmp_path: Path) -> None:
    with stub("well", tmp_path) as worker:
        worker.load()
        with pytest.raises(PeerError, match="ended with status 3"):
            worker.run("dies", 1)
        with pytest.raises(PeerError, match="ended with status 3"):
            worker.run("quick", 1)


def test_a_worker_that_does_not_load_is_told_with_its_last_words(tmp_path: Path) -> None:
    with (
        stub("stillborn", tmp_path) as worker,
        pytest.raises(PeerError, match=r"status 1: libgone\.so\.1: cannot open"),
    ):
        worker.load()
    with stub("unloadable", tmp_path) as worker, pytest.raises(PeerError, match="ImportError: No module named 'peer'"):
        worker.load()


def test_a_worker_that_hangs_is_given_up_and_ended(tmp_path: Path) -> None:
    with stub("well", tmp_path) as worker:
        worker.load()
        with pytest.raises(PeerError, match=r"gave no answer in 0\.2 s"):
            worker.run("hangs", 1, deadline_s=0.2)
    assert not alive(worker.pid)


def test_rubbish_is_told_as_it_came(tmp_path: Path) -> None:
    with (
        stub("rubbish", tmp_path) as worker,
        pytest.raises(PeerError, match="no protocol, it said 'Downloading weights'"),
    ):
        worker.load()
    assert not alive(worker.pid)


@pytest.mark.parametrize(
    "answer", ["[]", "7", "{}", '{"times_ms": [1.0]}', '{"times_ms": [1.0, NaN]}', '{"times_ms": [1.0, -1.0]}', "\\xff"]
)
def test_an_answer_that_holds_no_times_is_no_answer(answer: str, tmp_path: Path) -> None:
    code = f"import sys; sys.stdin.readline(); print({answer!r}, flush=True); sys.stdin.read()"
    with (
        WorkerProcess("stub", [sys.executable, "-c", code], tmp_path / "stub.log") as worker,
        pytest.raises(PeerError, match="no protocol"),
    ):
        worker.run("quick", 2)


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="stub does not start: No such file"):
        WorkerProcess("stub", [str(tmp_path / "python")], tmp_path / "stub.log")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_a_parent_that_is_ended(how: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C reaches the whole group, as from a terminal; the others the parent alone."""
    command = [sys.executable, str(HERE / "stub_parent.py"), str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
        if how == signal.SIGINT:
            os.killpg(parent.pid, how)
        else:
            parent.send_signal(how)
        parent.wait(60)
        wait_until_gone(pids)
