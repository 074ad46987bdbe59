"""Measuring a library: once a file, again when it changed, on from where it was killed, never two at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from crashing_measure import measured_or_crash
from sample_index import sample_index
from tone_files import write_tone

from emomusic_edge.deam_index import loudness_run
from emomusic_edge.deam_index.audio_files import AudioRoots
from emomusic_edge.deam_index.index_file import write_index
from emomusic_edge.deam_index.loudness import Loudness, gain_db
from emomusic_edge.deam_index.loudness_file import LoudnessWriter, Measured, loudness_file_of, read_lines, song_gains_db
from emomusic_edge.deam_index.loudness_run import measure_loudness
from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.errors import IndexFileError


def index_of(files: list[str]) -> MusicIndex:
    count = len(files)
    return replace(
        sample_index(),
        points=np.zeros((count, 2), np.float32),
        start_s=np.zeros(count, np.float32),
        end_s=np.ones(count, np.float32),
        song=np.arange(count, dtype=np.int32),
        song_ids=tuple(files),
        titles=tuple(files),
        files=tuple(files),
        song_end_s=np.ones(count, np.float32),
    )


@pytest.fixture
def library(tmp_path: Path) -> MusicIndex:
    for number, amplitude in enumerate((0.05, 0.1, 0.2)):
        write_tone(tmp_path / f"{number}.flac", amplitude=amplitude)
    (tmp_path / "bad.flac").write_bytes(b"no sound")
    return index_of(["0.flac", "1.flac", "2.flac", "bad.flac", "gone.flac"])


def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the measure may be another."""
    monkeypatch.setattr(loudness_run, "_in_processes", lambda jobs, workers: map(loudness_run._measured, jobs))


def test_each_file_is_measured_once(library: MusicIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.loudness.jsonl"
    told: list[tuple[int, int]] = []
    run = measure_loudness(library, AudioRoots(tmp_path), path, workers=2, progress=lambda *at: told.append(at))
    assert (run.measured, run.known, run.missing) == (4, 0, 1)
    assert run.troubles.keys() == {"bad.flac"}
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    lines = {line.file: line for line in read_lines(path)}
    assert lines.keys() == {"0.flac", "1.flac", "2.flac", "bad.flac"}
    first, second = lines["0.flac"].loudness, lines["1.flac"].loudness
    assert first is not None
    assert second is not None
    assert second.integrated_lufs - first.integrated_lufs == pytest.approx(6.02, abs=0.05)
    gains = song_gains_db(library, path)
    assert gains.dtype == np.float32
    assert gains[0] == pytest.approx(gain_db(first.integrated_lufs, first.true_peak_dbtp), abs=1e-4)
    assert gains[3:].tolist() == [0, 0]
    assert gains[0] - gains[1] == pytest.approx(6.02, abs=0.05)

    in_this_process(monkeypatch)
    monkeypatch.setattr(loudness_run, "measure", lambda path: pytest.fail(f"measured {path} again"))
    run = measure_loudness(library, AudioRoots(tmp_path), path, workers=1)
    assert (run.measured, run.known) == (0, 4)
    monkeypatch.setattr(loudness_run, "measure", lambda path: Loudness(-20.0, -5.0))
    write_tone(tmp_path / "1.flac", 2.0)
    run = measure_loudness(library, AudioRoots(tmp_path), path, workers=1)
    assert (run.measured, run.known) == (1, 3)
    assert song_gains_db(library, path)[1] == 2.0
    assert measure_loudness(library, AudioRoots(tmp_path), path, workers=1, again=True).measured == 4


def test_a_torn_or_strange_line_is_passed_over(library: MusicIndex, tmp_path: Path) -> None:
    path = tmp_path / "a.loudness.jsonl"
    measure_loudness(library, AudioRoots(tmp_path), path, workers=1)
    whole = path.read_text().splitlines(keepends=True)
    strange = [
        '{"file": 3, "bytes": 1, "changed_ns": 2}\n',
        "[1]\n",
        "nonsense\n",
        '{"file": "x"}\n',
        "[" * 5000 + "\n",
    ]
    path.write_text("".join([*whole[:2], *strange, whole[2][: len(whole[2]) // 2]]))
    assert [line.file for line in read_lines(path)] == ["0.flac"]
    run = measure_loudness(library, AudioRoots(tmp_path), path, workers=1)
    assert (run.measured, run.known) == (3, 1)
    assert path.read_text().splitlines(keepends=True) == whole


def test_the_last_line_of_a_file_counts_and_unknown_ones_do_not(tmp_path: Path) -> None:
    path = tmp_path / "a.loudness.jsonl"
    with LoudnessWriter(path) as writer:
        for file, lufs in (("a", -30.0), ("other", -1.0), ("a", -20.0)):
            writer.add(Measured(file, 1, 2, Loudness(lufs, -12.0)))
    assert song_gains_db(index_of(["a", "b"]), path).tolist() == [2.0, 0.0]
    assert song_gains_db(index_of(["a"]), tmp_path / "none").tolist() == [0.0]


def test_a_song_without_a_measure_is_not_louder_than_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.loudness.jsonl"
    with LoudnessWriter(path) as writer:
        for file, lufs in (("a", -8.0), ("b", -12.0), ("c", -20.0)):
            writer.add(Measured(file, 1, 2, Loudness(lufs, -12.0)))
        writer.add(Measured("broken", 1, 2, None, "why"))
        writer.add(Measured("not of this index", 1, 2, Loudness(-5.0, -12.0)))
    assert song_gains_db(index_of(["a", "b", "c", "broken", "new"]), path).tolist() == [-10, -6, 2, -6, -6]
    assert song_gains_db(index_of(["c", "new"]), path).tolist() == [2, 0]
    assert song_gains_db(index_of(["new", "broken"]), path).tolist() == [0, 0]


def test_the_gain_of_another_file_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "a.loudness.jsonl"
    with LoudnessWriter(path) as writer:
        for file, lufs in (("same", -10.0), ("longer", -30.0), ("touched", -30.0), ("gone", -30.0), ("link", -30.0)):
            (tmp_path / "real" if file == "link" else tmp_path / file).write_bytes(b"1234")
            if file == "link":
                (tmp_path / file).symlink_to("real")
            status = (tmp_path / file).stat()
            writer.add(Measured(file, status.st_size, status.st_mtime_ns, Loudness(lufs, -20.0)))
    (tmp_path / "longer").write_bytes(b"12345")
    os.utime(tmp_path / "touched", ns=(1, 1))
    (tmp_path / "gone").unlink()
    index = index_of(["same", "longer", "touched", "gone", "link"])
    assert song_gains_db(index, path, AudioRoots(tmp_path)).tolist() == [-8, 0, 0, 0, 12]
    (tmp_path / "link").unlink()
    assert song_gains_db(index, path, AudioRoots(tmp_path)).tolist() == [-8] * 5
    assert song_gains_db(index, path).tolist() == [-8, 12, 12, 12, 12]


def test_numbers_too_large_for_any_file_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.loudness.jsonl"
    with LoudnessWriter(path) as writer:
        writer.add(Measured("a", 2**63, 2, Loudness(-20.0, -12.0)))
    assert song_gains_db(index_of(["a"]), path).tolist() == [0]


def test_files_that_are_away_for_one_run_stay_measured(library: MusicIndex, tmp_path: Path) -> None:
    path = tmp_path / "a.loudness.jsonl"
    with LoudnessWriter(path) as writer:
        writer.add(Measured("of another index", 1, 2, Loudness(-20.0, -5.0)))
    measure_loudness(library, AudioRoots(tmp_path), path, workers=2)
    whole = {line.file: line for line in read_lines(path)}
    assert whole.keys() == {"0.flac", "1.flac", "2.flac", "bad.flac"}
    (tmp_path / "away").mkdir()
    for name in ("1.flac", "bad.flac"):
        (tmp_path / name).rename(tmp_path / "away" / name)
    for again in (False, True):
        run = measure_loudness(library, AudioRoots(tmp_path), path, workers=2, again=again)
        assert (run.measured, run.known, run.missing) == ((2, 0, 3) if again else (0, 2, 3))
        assert run.troubles == {}
        assert {line.file: line for line in read_lines(path)} == whole


def test_again_forgets_nothing_before_it_has_found_audio(library: MusicIndex, tmp_path: Path) -> None:
    path = tmp_path / "a.loudness.jsonl"
    with LoudnessWriter(path) as writer:
        writer.add(Measured("0.flac", 1, 2, Loudness(-20.0, -5.0)))
        before = path.read_bytes()
        with pytest.raises(IndexFileError, match="being written by another run"):
            measure_loudness(library, AudioRoots(tmp_path), path, workers=1, again=True)
    with pytest.raises(IndexFileError, match="none of the 5 songs"):
        measure_loudness(library, AudioRoots(tmp_path / "none"), path, workers=1, again=True)
    assert path.read_bytes() == before


def test_a_file_that_ends_its_process_is_marked_and_the_run_goes_on(
    library: MusicIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.loudness.jsonl"
    (tmp_path / "crash.flac").write_bytes((tmp_path / "0.flac").read_bytes())
    index = index_of(["0.flac", "crash.flac", "1.flac", "2.flac"])
    monkeypatch.setattr(loudness_run, "_measured", measured_or_crash)
    run = measure_loudness(index, AudioRoots(tmp_path), path, workers=2)
    assert run.measured == 4
    assert run.troubles.keys() == {"crash.flac"}
    assert "ended the process" in run.troubles["crash.flac"]
    again = measure_loudness(index, AudioRoots(tmp_path), path, workers=1)
    assert (again.measured, again.known, again.troubles) == (0, 4, run.troubles)
    alone = measure_loudness(index_of(["crash.flac"]), AudioRoots(tmp_path), path, workers=1, again=True)
    assert alone.troubles.keys() == {"crash.flac"}


def test_silence_survives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.loudness.jsonl"
    with LoudnessWriter(path) as writer:
        writer.add(Measured("a\udcff", 1, 2, Loudness(float("-inf"), float("-inf"))))
    assert next(read_lines(path)).loudness == Loudness(float("-inf"), float("-inf"))
    assert all(json.loads(line) for line in path.read_bytes().decode("utf-8", "surrogatepass").splitlines())


def test_a_file_of_another_kind_is_refused(library: MusicIndex, tmp_path: Path) -> None:
    path = tmp_path / "a.loudness.jsonl"
    path.write_text('{"schema_version": 9}\n')
    with pytest.raises(IndexFileError, match="not a loudness file of this version") as told:
        measure_loudness(library, AudioRoots(tmp_path), path)
    assert "--again" in told.value.mend
    assert measure_loudness(library, AudioRoots(tmp_path), path, workers=2, again=True).measured == 4
    assert len(list(read_lines(path))) == 4


def test_two_runs_do_not_write_one_file(library: MusicIndex, tmp_path: Path) -> None:
    path = tmp_path / "a.loudness.jsonl"
    with LoudnessWriter(path), pytest.raises(IndexFileError, match="being written by another run"):
        measure_loudness(library, AudioRoots(tmp_path), path, workers=1)


def test_no_file_at_all_is_told(library: MusicIndex, tmp_path: Path) -> None:
    with pytest.raises(IndexFileError, match="none of the 5 songs") as told:
        measure_loudness(library, AudioRoots(tmp_path / "none"), tmp_path / "a.loudness.jsonl")
    assert "--audio" in told.value.mend
    assert not (tmp_path / "a.loudness.jsonl").exists()


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """SIGKILL in the middle: what was measured stays, and is not measured again; the workers end by themselves."""
    files = [f"{number:02}.flac" for number in range(24)]
    for file in files:
        write_tone(tmp_path / file, 20.0, rate_hz=44_100)
    write_index(tmp_path / "my.npz", index_of(files))
    path = loudness_file_of(tmp_path / "my.npz")
    command = [sys.executable, "-m", "emomusic_edge", "index", "loudness", str(tmp_path / "my.npz"), "--workers", "2"]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline_s = time.monotonic() + 120
        while len(list(read_lines(path))) < 3:
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    while _group_lives(process.pid):
        assert time.monotonic() < deadline_s, "its workers live on"
        time.sleep(0.05)
    done = {line.file: line for line in read_lines(path)}
    assert 3 <= len(done) < len(files)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    assert f"{len(files) - len(done)} files measured, {len(done)} known before" in ended.stdout
    after = {line.file: line for line in read_lines(path)}
    assert after.keys() == set(files)
    assert {file: after[file] for file in done} == done


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
