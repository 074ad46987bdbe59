"""The history: minutes of it, for the hours asked for, wiped at once; no reason to stop."""

from __future__ import annotations

import sqlite3
import stat
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from broker import Listener, wait_until
from closed_room import ClosedRoom, Service

from emomusic_edge.cli import main
from emomusic_edge.contracts import FaceBox, Mode, StableAffect, StateSnapshot, ValenceArousal
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.privacy.history import History, HistoryFile
from emomusic_edge.runtime.privacy.minute import Minute, MinuteMeans

START_S = 1_800_000_000 // 60 * 60
FACE = FaceBox(0.1, 0.1, 0.2, 0.2, 0.9)


def told(valence: float, arousal: float, *, face: bool = False, stale: bool = False, new: bool = True) -> StateSnapshot:
    stable = StableAffect(
        mean=ValenceArousal(valence, arousal),
        variance=ValenceArousal(0.1, 0.1),
        held=(False, False),
        age_s=0.0,
        stale=stale,
    )
    return StateSnapshot(seq=0, t_s=0.0, mode=Mode.MIRROR, new_frame=new, face=FACE if face else None, stable=stable)


def rows(path: Path) -> Sequence[tuple[int, float, float, int, int]]:
    database = sqlite3.connect(path)
    try:
        return database.execute("SELECT * FROM minutes ORDER BY start_s").fetchall()
    finally:
        database.close()


class Clock:
    def __init__(self) -> None:
        self.now_s = float(START_S)

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "history.sqlite"


def test_a_minute_is_means_and_counts_of_what_was_believed() -> None:
    means = MinuteMeans()
    for offset_s, snapshot in enumerate(
        [told(1.0, 2.0, face=True), told(2.0, 4.0), told(-3.0, 6.0, stale=True), told(-3.0, 6.0, new=False)]
    ):
        assert means.add(snapshot, START_S + offset_s) is None
    assert means.add(told(0.0, 0.0), START_S + 60.0) == Minute(START_S, 1.5, 3.0, 2, 1)


def test_a_minute_without_a_believed_frame_is_none() -> None:
    means = MinuteMeans()
    assert means.add(told(1.0, 1.0, stale=True), START_S) is None
    assert means.add(told(1.0, 1.0), START_S + 60.0) is None


def test_a_clock_that_is_set_back_ends_the_minute() -> None:
    means = MinuteMeans()
    means.add(told(1.0, 1.0), START_S)
    ended = means.add(told(2.0, 2.0), START_S - 3600.0)
    assert ended == Minute(START_S, 1.0, 1.0, 1, 0)


def test_by_default_nothing_is_kept_and_what_was_kept_before_goes(path: Path) -> None:
    HistoryFile(path, kept_s=3600.0).add(Minute(START_S, 1.0, 1.0, 1, 0), START_S)
    clock = Clock()
    history = History(path, kept_h=0.0, wall_clock=clock)
    assert not path.exists()
    history.observe(told(1.0, 1.0))
    clock.now_s += 60.0
    history.observe(told(1.0, 1.0))
    history.forget()
    history.close()
    assert list(path.parent.iterdir()) == []


def test_minutes_go_into_a_file_that_only_its_user_reads_and_old_ones_leave_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An hour's minutes are written here at once, on a disk that others use too.
    monkeypatch.setattr("emomusic_edge.runtime.privacy.history._JOIN_S", 60.0)
    clock = Clock()
    history = History(path, kept_h=1.0, wall_clock=clock)
    for _ in range(65):
        history.observe(told(1.0, 2.0))
        clock.now_s += 60.0
    history.observe(told(1.0, 2.0))
    history.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    starts = [row[0] for row in rows(path)]
    # An hour, to the minute; the running one is not told yet.
    assert starts == [START_S + 60 * minute for minute in range(5, 65)]
    assert list(path.parent.iterdir()) == [path]


def test_what_became_old_while_it_was_off_goes_at_the_start(path: Path) -> None:
    file = HistoryFile(path, kept_s=24 * 3600.0)
    file.add(Minute(START_S, 1.0, 1.0, 1, 0), START_S)
    file.add(Minute(START_S + 7200, 1.0, 1.0, 1, 0), START_S + 7200)
    clock = Clock()
    clock.now_s = START_S + 3 * 3600.0
    History(path, kept_h=2.0, wall_clock=clock).close()
    assert [row[0] for row in rows(path)] == [START_S + 7200]


def test_minutes_yet_to_come_leave_too(path: Path) -> None:
    HistoryFile(path, kept_s=3600.0).add(Minute(START_S, 1.0, 1.0, 1, 0), START_S)
    clock = Clock()
    clock.now_s -= 86400.0
    History(path, kept_h=1.0, wall_clock=clock).close()
    assert rows(path) == []


def test_forget_removes_it_with_the_running_minute(path: Path) -> None:
    clock = Clock()
    history = History(path, kept_h=1.0, wall_clock=clock)
    history.observe(told(3.0, 1.0))
    clock.now_s += 60.0
    history.observe(told(3.0, 1.0))
    wait_until(path.exists, "the minute to be written")
    history.forget()
    wait_until(lambda: not path.exists(), "the history to go")
    history.observe(told(-1.0, 2.0))
    clock.now_s += 60.0
    history.observe(told(-1.0, 2.0))
    history.close()
    assert [(row[1], row[3]) for row in rows(path)] == [(-1.0, 1)]


def test_a_minute_that_ran_while_another_process_wiped_it_is_not_written(path: Path) -> None:
    clock = Clock()
    history = History(path, kept_h=1.0, wall_clock=clock)
    history.observe(told(3.0, 1.0))
    clock.now_s += 60.0
    history.observe(told(3.0, 1.0))
    wait_until(lambda: path.exists() and rows(path), "the minute to be written")
    assert HistoryFile(path, kept_s=0.0).remove()
    clock.now_s += 60.0
    history.observe(told(1.0, 1.0))
    clock.now_s += 60.0
    history.observe(told(1.0, 1.0))
    history.close()
    assert [row[0] for row in rows(path)] == [START_S + 120]


def test_wiped_minutes_are_not_in_the_bytes_of_a_removed_file(path: Path, tmp_path: Path) -> None:
    file = HistoryFile(path, kept_s=3600.0)
    file.add(Minute(START_S, 1.23456789, 1.0, 1, 0), START_S)
    second_name = tmp_path / "the same inode"
    second_name.hardlink_to(path)
    needle = bytes.fromhex("3ff3c0ca4283de1b")  # 1.23456789, as sqlite stores it
    assert needle in second_name.read_bytes()
    assert file.remove()
    assert needle not in second_name.read_bytes()


@pytest.mark.parametrize("content", [b"no database" * 100, b"\0" * 4096, b""])
def test_a_damaged_file_is_no_reason_to_stop(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    clock = Clock()
    history = History(path, kept_h=1.0, wall_clock=clock)
    history.observe(told(1.0, 2.0))
    clock.now_s += 60.0
    history.observe(told(1.0, 2.0))
    history.close()
    assert len(rows(path)) == 1


def test_a_place_that_cannot_be_written_is_told_once_and_no_reason_to_stop(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.mkdir(parents=True)
    clock = Clock()
    history = History(path, kept_h=1.0, wall_clock=clock)
    for _ in range(3):
        history.observe(told(1.0, 2.0))
        clock.now_s += 60.0
    history.observe(told(1.0, 2.0))
    history.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(path) in caplog.text


@pytest.mark.broker
def test_the_mqtt_command_forget_removes_it_at_once(room: ClosedRoom, listener: Listener, service: Service) -> None:
    path = DataLayout(room.data).history
    now_s = time.time()
    HistoryFile(path, kept_s=3600.0).add(Minute(int(now_s // 60) * 60 - 120, 1.0, 1.0, 1, 0), now_s)
    service("privacy.history_h = 1")
    listener.wait("emomusic/room/state")
    assert len(rows(path)) == 1
    listener.send("emomusic/room/cmd/forget")
    wait_until(lambda: not path.exists(), "the history to go")


def test_the_command_forget_removes_it_and_says_so(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    HistoryFile(path, kept_s=3600.0).add(Minute(START_S, 1.0, 1.0, 1, 0), START_S)
    for expected in (f"Removed the history, {path}.", ""):
        with pytest.raises(SystemExit) as ended:
            main(["forget", "--yes", "--set", f"paths.data_dir={path.parent}"])
        assert ended.value.code == 0
        said = capsys.readouterr().out
        assert expected in said.replace("\n", "")
        assert ("history" in said) is bool(expected)
    assert not path.exists()
