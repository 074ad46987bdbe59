from __future__ import annotations

import io
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from snapshots import SONG, snapshot

from emomusic_edge.contracts import (
    AffectEstimate,
    Pace,
    PlaybackStatus,
    StableAffect,
    StateSnapshot,
    ValenceArousal,
)
from emomusic_edge.runtime.summary import (
    PERCENTILE_ERROR,
    REASONS_KEPT,
    SONGS_KEPT,
    LatencyHistogram,
    RunSummary,
    summary_view,
    write_summary,
)


def stable(valence: float, arousal: float, held: tuple[bool, bool] = (False, False)) -> StableAffect:
    return StableAffect(ValenceArousal(valence, arousal), ValenceArousal(0.1, 0.1), held, 0.0)


def finished(*snapshots: StateSnapshot, seconds: float = 1.0) -> dict:
    summary = RunSummary()
    for one in snapshots:
        summary.add(one)
    return summary.finish(seconds, {"face": "CPUExecutionProvider"}, dropped=3)


def text_of(told: dict) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(summary_view(told))
    return console.file.getvalue()


def test_rates_are_of_all_frames() -> None:
    told = finished(
        snapshot(seq=0, stable=None, face=None),
        snapshot(seq=1, stable=stable(1.0, 2.0)),
        snapshot(seq=2, stable=stable(2.0, 3.0, (True, False))),
        snapshot(seq=3, stable=stable(3.0, 4.0, (True, True))),
        seconds=2.0,
    )
    assert told["frames"] == 4
    assert told["seconds"] == 2.0
    assert told["frames_per_second"] == 2.0
    assert told["dropped"] == 3
    assert told["face_rate"] == 0.75
    assert told["held_rate"] == 0.5
    assert told["waiting_rate"] == 0.25
    assert told["valence"] == {"mean": 2.0, "min": 1.0, "max": 3.0}
    assert told["arousal"] == {"mean": 3.0, "min": 2.0, "max": 4.0}
    assert told["providers"] == {"face": "CPUExecutionProvider"}


def test_looks_of_the_scene_model_and_limits_are_counted() -> None:
    scene = AffectEstimate("scene", ValenceArousal(0.5, 2.5), ValenceArousal(0.3, 0.3), 64)
    told = finished(
        snapshot(seq=0, estimates=(scene,), pace=Pace(10.0, 1.0)),
        snapshot(seq=1, estimates=(replace(scene, age_s=0.1),), pace=Pace(4.0, 0.5, "cpu")),
        snapshot(seq=2, estimates=(replace(scene, age_s=0.2),), pace=Pace(3.0, 0.3, "cpu")),
        snapshot(seq=3, estimates=(), pace=Pace(10.0, 0.3)),
    )
    assert told["scene_rate"] == 0.25
    assert told["limited_rate"] == {"cpu": 0.5}
    assert "looked at on 25% of frames" in text_of(told)
    assert "for the CPU's budget on 50% of frames" in text_of(told)


def test_a_snapshot_without_a_new_picture_is_no_frame() -> None:
    told = finished(
        snapshot(seq=7), snapshot(seq=7, t_s=13.0, new_frame=False), snapshot(seq=-1, new_frame=False, camera_on=False)
    )
    assert told["frames"] == 1


def test_songs_are_told_when_they_start_from_the_first_snapshot_on() -> None:
    other = replace(SONG, song_id="bright-01", title="")
    told = finished(
        snapshot(seq=0, t_s=100.0, playback=PlaybackStatus()),
        snapshot(seq=1, t_s=100.5, playback=PlaybackStatus(segment=SONG, position_s=5.0)),
        snapshot(seq=2, t_s=101.0, playback=PlaybackStatus(segment=SONG, position_s=5.5)),
        snapshot(seq=3, t_s=107.0, playback=PlaybackStatus(segment=other, position_s=40.0)),
        # between frames too
        snapshot(seq=3, t_s=113.0, playback=PlaybackStatus(segment=SONG, position_s=40.0), camera_on=False),
    )
    assert [(song["song_id"], song["started_at_s"]) for song in told["songs"]] == [
        ("slow-07", 0.5),
        ("bright-01", 7.0),
        ("slow-07", 13.0),
    ]
    assert [song["title"] for song in told["songs"]] == [SONG.title, "bright-01", SONG.title]


def test_a_song_that_could_not_be_played_was_not_heard() -> None:
    told = finished(
        snapshot(seq=0, t_s=100.0, playback=PlaybackStatus(segment=SONG, position_s=5.0)),
        snapshot(seq=1, t_s=100.1, playback=PlaybackStatus(segment=SONG, position_s=5.1)),
        snapshot(seq=2, t_s=100.2, playback=PlaybackStatus(ended=True)),
    )
    assert told["songs"] == []
    assert told["song_count"] == 0


def test_why_it_was_muted_and_what_went_wrong() -> None:
    told = finished(
        snapshot(seq=0, t_s=10.0, playback=PlaybackStatus(muted=True, reason="no audio device")),
        snapshot(seq=1, t_s=11.5, reasons={"camera": "unplugged", "broker": ""}),
        snapshot(seq=2, t_s=12.0, reasons={"camera": "unplugged"}),
    )
    assert told["muted"] is True
    assert told["muted_reason"] == "no audio device"
    assert told["reasons"] == [{"part": "camera", "reason": "unplugged", "first_s": 1.5, "snapshots": 2}]


def test_a_run_without_a_frame_has_no_numbers_and_is_still_json(tmp_path: Path) -> None:
    told = finished(seconds=0.0)
    write_summary(tmp_path / "summary.json", told)
    read = json.loads((tmp_path / "summary.json").read_text())
    assert read == told
    assert read["frames"] == 0
    assert read["face_rate"] is None
    assert read["valence"] == {"mean": None, "min": None, "max": None}
    assert read["latency_ms"] == {"p50": None, "p95": None, "p99": None, "stages": {}}
    assert "0 in 0.0 s" in text_of(told)


def test_latencies_in_all_and_of_each_stage() -> None:
    told = finished(*(snapshot(seq=n, latency_ms=float(n + 1), stage_ms={"detect": 2.0}) for n in range(100)))
    latency = told["latency_ms"]
    assert latency["p50"] == pytest.approx(50.0, rel=0.02)
    assert latency["p95"] == pytest.approx(95.0, rel=0.02)
    assert latency["p99"] == pytest.approx(99.0, rel=0.02)
    assert latency["stages"]["detect"]["p99"] == pytest.approx(2.0, rel=0.02)


@given(st.lists(st.floats(0.001, 1_000_000.0), min_size=1, max_size=200), st.integers(1, 100))
def test_a_percentile_is_within_its_stated_error_of_the_nearest_rank(values: list[float], percent: int) -> None:
    histogram = LatencyHistogram()
    for value in values:
        histogram.add(value)
    exact = np.percentile(values, percent, method="inverted_cdf")
    # the bound itself, and a sample that rounding puts into the next bin
    assert histogram.percentile_ms(percent) == pytest.approx(exact, rel=PERCENTILE_ERROR * 1.01 + 1e-9)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_no_number_breaks_the_histogram(value: float) -> None:
    histogram = LatencyHistogram()
    histogram.add(value)
    percentile = histogram.percentile_ms(50)
    assert (percentile is None) == math.isnan(value)


def test_memory_does_not_grow_with_the_run() -> None:
    summary = RunSummary()
    for number in range(3 * SONGS_KEPT):
        segment = replace(SONG, song_id=f"song-{number}")
        summary.add(
            snapshot(
                seq=number,
                playback=PlaybackStatus(segment=segment, position_s=40.0),
                reasons={"command": f"bad word {number}"},
            )
        )
    told = summary.finish(1.0, {})
    assert told["song_count"] == 3 * SONGS_KEPT
    assert len(told["songs"]) == SONGS_KEPT
    assert told["songs"][-1]["song_id"] == f"song-{3 * SONGS_KEPT - 1}"
    assert len(told["reasons"]) == REASONS_KEPT
    assert sys.getsizeof(LatencyHistogram()._bins) < 10_000


def test_the_terminal_tells_what_a_person_asks_first() -> None:
    told = finished(
        snapshot(
            seq=0,
            stable=stable(-1.5, 3.0),
            playback=PlaybackStatus(segment=SONG, position_s=40.0, muted=True, reason="no device"),
        ),
        seconds=0.5,
    )
    text = text_of(told)
    for expected in ("1 in 0.5 s", "face", "100%", "-1.50", "Slow rain in A minor", "no device", "CPUExecution"):
        assert expected in text


def test_of_many_songs_the_last_are_shown_and_the_count_is_told() -> None:
    told = finished(
        *(
            snapshot(seq=n, playback=PlaybackStatus(segment=song, position_s=40.0))
            for n in range(30)
            for song in [replace(SONG, song_id=f"id-{n}", title=f"Song {n}.")]
        )
    )
    text = text_of(told)
    assert "30, the last 8 of them" in text
    assert "Song 29." in text
    assert "Song 21." not in text


def test_a_title_cannot_command_the_terminal() -> None:
    evil = replace(SONG, title="\x1b[2J[red]x[/red]")
    text = text_of(finished(snapshot(playback=PlaybackStatus(segment=evil, position_s=40.0))))
    assert "\x1b" not in text
    assert "[red]x[/red]" in text
