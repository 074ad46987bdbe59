from __future__ import annotations

import csv
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from snapshots import SONG, snapshot

from emomusic_edge.contracts import AffectEstimate, FusedAffect, PlaybackStatus, StableAffect, ValenceArousal
from emomusic_edge.errors import ConfigError
from emomusic_edge.runtime.record import COLUMNS, RecordWriter, read_record, row_of

FULL = snapshot(
    estimates=(
        AffectEstimate("scene", ValenceArousal(0.5, 2.5), ValenceArousal(1.9, 1.6), 0),
        AffectEstimate("face", ValenceArousal(-1.5, 3.5), ValenceArousal(0.25, 0.36), 0),
    ),
    fused=FusedAffect(ValenceArousal(-1.2, 3.3), ValenceArousal(0.22, 0.29), {}),
    stable=StableAffect(ValenceArousal(-1.0, 3.0), ValenceArousal(0.22, 0.29), (True, False), 0.5),
)


def test_the_columns_are_those_that_were_promised() -> None:
    assert ",".join(COLUMNS) == (
        "t_s,face,score,"
        "scene_valence,scene_arousal,scene_valence_variance,scene_arousal_variance,"
        "face_valence,face_arousal,face_valence_variance,face_arousal_variance,"
        "fused_valence,fused_arousal,fused_valence_variance,fused_arousal_variance,"
        "stable_valence,stable_arousal,held_valence,held_arousal,target_valence,target_arousal,song"
    )


def test_a_full_row() -> None:
    assert row_of(FULL, start_s=10.0) == {
        "t_s": "2",
        "face": "1",
        "score": "0.9",
        "scene_valence": "0.5",
        "scene_arousal": "2.5",
        "scene_valence_variance": "1.9",
        "scene_arousal_variance": "1.6",
        "face_valence": "-1.5",
        "face_arousal": "3.5",
        "face_valence_variance": "0.25",
        "face_arousal_variance": "0.36",
        "fused_valence": "-1.2",
        "fused_arousal": "3.3",
        "fused_valence_variance": "0.22",
        "fused_arousal_variance": "0.29",
        "stable_valence": "-1",
        "stable_arousal": "3",
        "held_valence": "1",
        "held_arousal": "0",
        "target_valence": "-0.2",
        "target_arousal": "0.2",
        "song": SONG.song_id,
    }


def test_what_is_not_known_is_empty_never_zero() -> None:
    row = row_of(snapshot(face=None, estimates=(), fused=None, stable=None, target=None, playback=PlaybackStatus()))
    assert {column for column, cell in row.items() if cell} == {"t_s", "face"}
    assert row["face"] == "0"


def test_times_keep_their_milliseconds_for_months(tmp_path: Path) -> None:
    assert row_of(snapshot(t_s=7_776_000.125))["t_s"] == "7776000.125"


def test_it_reads_back_what_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    with RecordWriter(path) as record:
        record.write(replace(FULL, seq=3, t_s=500.0))
        record.write(replace(FULL, seq=4, t_s=500.1, stable=None, playback=PlaybackStatus()))
    read = read_record(path)
    assert len(read) == 2
    np.testing.assert_allclose(read["t_s"], [0.0, 0.1])
    np.testing.assert_array_equal(read["stable_valence"], [-1.0, np.nan])
    np.testing.assert_array_equal(read["held_valence"], [1.0, np.nan])
    np.testing.assert_array_equal(read["face_arousal"], [3.5, 3.5])
    assert read.songs == (SONG.song_id, "")


def test_a_row_is_a_frame(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    with RecordWriter(path) as record:
        record.write(FULL)
        record.write(replace(FULL, t_s=13.0, new_frame=False))
        record.write(replace(FULL, t_s=14.0, new_frame=False, camera_on=False))
    assert len(read_record(path)) == 1


def test_song_ids_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    name = 'a "quoted", öld\nsong'
    with RecordWriter(path) as record:
        record.write(replace(FULL, playback=PlaybackStatus(segment=replace(SONG, song_id=name))))
    assert read_record(path).songs == (name,)


def test_a_killed_run_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    code = (
        "import os, pathlib, sys\n"
        "from emomusic_edge.contracts import Mode, StateSnapshot\n"
        "from emomusic_edge.runtime.record import RecordWriter\n"
        "record = RecordWriter(pathlib.Path(sys.argv[1]))\n"
        "for number in range(7): record.write(StateSnapshot(seq=number, t_s=number, mode=Mode.MIRROR))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert read_record(path)["t_s"].tolist() == list(range(7))


def test_a_half_written_last_row_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    with RecordWriter(path) as record:
        record.write(FULL)
        record.write(replace(FULL, seq=9))
    path.write_text(path.read_text()[:-40])
    assert len(read_record(path)) == 1


def test_only_the_owner_may_read_a_history_of_feelings(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    path.write_text("an older one, for all to read")
    with RecordWriter(path) as record:
        record.write(FULL)
    assert len(read_record(path)) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_run_without_a_frame_leaves_things_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("precious")
    RecordWriter(tmp_path / "old.csv").close()
    RecordWriter(tmp_path / "new.csv").close()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"old.csv": "precious"}


def test_a_file_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        RecordWriter(tmp_path / "none" / "run.csv")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_ends_the_record_and_not_the_run() -> None:
    record = RecordWriter(Path("/dev/full"))
    record.write(FULL)
    record.write(replace(FULL, seq=9))
    assert os.strerror(28) in record.reason
    record.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "columns are others"),
        ("t_s,face\n0,1\n", "columns are others.*song"),
        (",".join(COLUMNS) + "\n", "without a single row"),
        (",".join(COLUMNS) + "\n" + "x," * 21 + "song\n", "none of a record"),
        (",".join(COLUMNS) + "\n" + "1," * 5 + "\n" + "1," * 21 + "song\n", "none of a record|different lengths"),
        ('a"b,"c\nd"e"\n', "cannot be read|columns are others"),
    ],
)
def test_what_is_no_record_is_refused_with_its_name(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "other.csv"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_record(path)
    assert str(path) in str(caught.value)


def test_binary_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_bytes(b"\xff\xfe\x00" * 100)
    for refused in (path, tmp_path / "none.csv", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_record(refused)


def test_any_csv_reader_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    with RecordWriter(path) as record:
        record.write(FULL)
    with path.open(newline="") as file:
        assert next(csv.DictReader(file))["fused_arousal"] == "3.3"
