"""Calibration: sure frames make a bounded shift; a file that is whole, or none."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from snapshots import snapshot
from typer.testing import CliRunner

from emomusic_edge.cli import app
from emomusic_edge.contracts import FusedAffect, StableAffect, StateSnapshot, ValenceArousal
from emomusic_edge.errors import ConfigError
from emomusic_edge.runtime.calibration import (
    MAX_SHIFT,
    NEUTRAL,
    ModelHashes,
    NeutralMinute,
    delete_calibration,
    read_calibration,
    write_calibration,
)

SMALL = ValenceArousal(0.1, 0.1)


def frame(
    t_s: float, valence: float, arousal: float, *, held: tuple[bool, bool] = (False, False), **changes: object
) -> StateSnapshot:
    mean = ValenceArousal(valence, arousal)
    return snapshot(t_s=t_s, fused=FusedAffect(mean, SMALL, {}), stable=StableAffect(mean, SMALL, held, 0.0), **changes)


def minute_of(frames: list[StateSnapshot]) -> NeutralMinute:
    minute = NeutralMinute()
    for one in frames:
        minute.add(one)
    return minute


@given(st.floats(-3, 3), st.floats(0, 6))
def test_the_shift_brings_the_seen_neutral_to_findingemos_or_as_near_as_its_bound(
    valence: float, arousal: float
) -> None:
    found = minute_of([frame(i / 10, valence, arousal) for i in range(100)]).calibration("anna")
    for seen, shift, neutral in zip((valence, arousal), found.shift, NEUTRAL, strict=True):
        assert abs(shift) <= MAX_SHIFT
        assert abs(seen + shift - neutral) == pytest.approx(max(0.0, abs(seen - neutral) - MAX_SHIFT), abs=1e-9)
    assert found.bounded == any(abs(s - n) > MAX_SHIFT for s, n in zip((valence, arousal), NEUTRAL, strict=True))
    assert (found.sure_frames, found.seconds) == (100, pytest.approx(9.9))


def test_held_frames_and_frames_without_a_face_or_news_have_no_say() -> None:
    frames = [frame(i / 10, 0.5, 2.5) for i in range(60)]
    frames += [frame(i / 10, -3.0, 6.0, held=(True, False)) for i in range(30)]
    frames += [frame(i / 10, -3.0, 6.0, face=None) for i in range(30)]
    frames += [frame(i / 10, -3.0, 6.0, new_frame=False) for i in range(900)]
    found = minute_of(frames).calibration("anna")
    assert found.shift == pytest.approx((-0.5, -0.5))


@pytest.mark.parametrize(("sure", "unsure"), [(0, 0), (29, 0), (60, 200)])
def test_too_few_sure_frames_are_refused_with_both_counts(sure: int, unsure: int) -> None:
    frames = [frame(i / 10, 0.0, 2.0) for i in range(sure)]
    frames += [frame(i / 10, 0.0, 2.0, held=(True, True)) for i in range(unsure)]
    with pytest.raises(ConfigError, match=f"^{sure} of {sure + unsure} frames .*Nothing was stored") as caught:
        minute_of(frames).calibration("anna")
    assert "resting face" in caught.value.mend


def test_a_restless_minute_is_refused() -> None:
    generator = np.random.default_rng(1)
    frames = [frame(i / 10, float(v), 2.0) for i, v in enumerate(np.clip(generator.normal(0, 1.5, 200), -3, 3))]
    with pytest.raises(ConfigError, match=r"moved too much .* in valence"):
        minute_of(frames).calibration("anna")


def test_it_is_written_for_its_owner_alone_read_back_and_deleted(tmp_path: Path) -> None:
    path = tmp_path / "calibration" / "anna.json"
    assert read_calibration(path) is None
    found = minute_of([frame(i / 10, 0.25, 2.0) for i in range(100)]).calibration("anna")
    write_calibration(path, found)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_calibration(path) == found
    assert delete_calibration(path)
    assert not delete_calibration(path)


@pytest.mark.parametrize(
    "change",
    [{"schema_version": 2}, {"shift_valence": 1.5}, {"shift_arousal": "0"}, {"sd_valence": None}, {"more": 1}],
)
def test_an_altered_file_is_refused_with_its_field(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "anna.json"
    write_calibration(path, minute_of([frame(i / 10, 0.25, 2.0) for i in range(100)]).calibration("anna"))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigError, match=next(iter(change))) as caught:
        read_calibration(path)
    assert "calibrate --delete" in caught.value.mend
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is no calibration"):
        read_calibration(path)


def test_it_is_applied_only_with_the_models_that_it_was_made_with(tmp_path: Path) -> None:
    made_with = ModelHashes("a" * 64, "b" * 64)
    minute = NeutralMinute(made_with)
    for i in range(100):
        minute.add(frame(i / 10, 0.25, 2.0))
    found = minute.calibration("anna")
    write_calibration(tmp_path / "anna.json", found)
    stored = read_calibration(tmp_path / "anna.json")
    assert stored == found
    assert stored.made_with_others(made_with) == ""
    assert "another face model: it is not applied" in stored.made_with_others(ModelHashes("c" * 64, "b" * 64))
    assert "another face and scene model" in stored.made_with_others(ModelHashes("c" * 64, "d" * 64))
    # one that was written before the hashes were kept
    older = minute_of([frame(i / 10, 0.25, 2.0) for i in range(100)]).calibration("anna")
    assert older.made_with_others(made_with) == ""


def test_the_command_shows_and_deletes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOMUSIC_PATHS__DATA_DIR", str(tmp_path))
    runner = CliRunner()
    nothing = f"no calibration of everyone ({tmp_path / 'calibration' / 'everyone.json'})"
    for what in ("--show", "--delete"):
        assert nothing in runner.invoke(app, ["calibrate", what]).output
    found = minute_of([frame(i / 10, 0.25, 2.0) for i in range(100)]).calibration("anna")
    write_calibration(tmp_path / "calibration" / "anna.json", found)
    assert (
        "anna: neutral seen at valence +0.25" in runner.invoke(app, ["calibrate", "--show", "--person", "anna"]).output
    )
    assert "Deleted" in runner.invoke(app, ["calibrate", "--delete", "--person", "anna"]).output
    assert not (tmp_path / "calibration" / "anna.json").exists()
    refused = runner.invoke(app, ["calibrate", "--show", "--person", "../anna"])
    assert isinstance(refused.exception, ConfigError)


def test_the_command_tells_where_it_is_stored_and_from_when_it_applies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOMUSIC_PATHS__DATA_DIR", str(tmp_path))
    minute = minute_of([frame(i / 10, 0.25, 2.0) for i in range(100)])
    module = importlib.import_module("emomusic_edge.cli.calibrate")
    monkeypatch.setattr(module, "record", lambda *_, **__: minute)
    path = tmp_path / "calibration" / "anna.json"
    for words in (["calibrate", "--person", "anna"], ["calibrate", "--person", "anna", "--delete"]):
        output = CliRunner().invoke(app, words).output
        assert str(path) in output
        assert "from the next start" in output
