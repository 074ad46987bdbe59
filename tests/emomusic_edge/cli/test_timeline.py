from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from snapshots import SONG, snapshot

from emomusic_edge.cli.timeline import draw, spans, timeline, uncertainty_of
from emomusic_edge.contracts import FusedAffect, PlaybackStatus, StableAffect, ValenceArousal
from emomusic_edge.errors import ConfigError, MissingExtraError
from emomusic_edge.runtime.record import RecordWriter, read_record


def write_record(path: Path, frames: int = 60) -> Path:
    """Sad then glad; no face and held in the middle; nothing plays at first."""
    other = replace(SONG, song_id="$bright_{1}$")
    with RecordWriter(path) as record:
        for number in range(frames):
            middle = frames // 3 <= number < frames // 2
            fused = ValenceArousal(-1.5 if number < frames // 2 else 1.5, 3.0)
            playing = None if number < 5 else SONG if number < frames // 2 else other
            record.write(
                snapshot(
                    seq=number,
                    t_s=number / 10,
                    face=None if middle else snapshot().face,
                    fused=FusedAffect(fused, ValenceArousal(0.9 if middle else 0.25, 0.16), {}),
                    stable=StableAffect(fused, ValenceArousal(0.25, 0.16), (middle, False), 0.0) if number else None,
                    playback=PlaybackStatus(segment=playing),
                )
            )
    return path


def test_it_draws_a_picture_that_opens(tmp_path: Path) -> None:
    out = tmp_path / "timeline.png"
    timeline(write_record(tmp_path / "run.csv"), out, "")
    picture = cv2.imread(str(out))
    assert picture.shape[1] == 1500
    # light, and something on it
    assert picture.mean() > 180
    assert picture.std() > 20


@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".PNG"])
def test_other_kinds(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"timeline{suffix}"
    timeline(write_record(tmp_path / "run.csv"), out, "A heading")
    assert out.stat().st_size > 5000


def test_it_says_what_happened(tmp_path: Path) -> None:
    figure = draw(read_record(write_record(tmp_path / "run.csv")))
    valence, arousal, strip = figure.axes
    assert "60 frames in 5.9 s" in valence.get_title(loc="left")
    assert "83 %" in valence.get_title(loc="left")
    labels = figure.legends[0].get_texts()
    assert {text.get_text() for text in labels} >= {"stable ± 1 sd", "face model", "fused", "held (too uncertain)"}
    assert [text.get_text().strip() for text in strip.texts] == ["slow-07", "$bright_{1}$"]
    stable = max(valence.lines, key=lambda line: line.get_linewidth())
    np.testing.assert_array_equal(stable.get_ydata()[1:], [-1.5] * 29 + [1.5] * 30)
    # held on valence alone
    assert len(valence.patches) == 2
    assert len(arousal.patches) == 0


def test_the_band_is_that_of_the_last_accepted_estimate(tmp_path: Path) -> None:
    record = read_record(write_record(tmp_path / "run.csv"))
    band = uncertainty_of(record, "valence")
    assert np.isnan(band[0])
    # 0.9 on the held frames moved nothing
    np.testing.assert_allclose(band[1:], 0.5)


def test_a_record_of_one_frame(tmp_path: Path) -> None:
    out = tmp_path / "timeline.png"
    timeline(write_record(tmp_path / "run.csv", frames=1), out, "")
    assert out.exists()


def test_spans() -> None:
    assert spans(np.array([True, True, False, True])) == [(0, 2), (3, 4)]
    assert spans(np.array([False])) == []


def test_bad_input_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "timeline.png"
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match=r"other\.csv"):
        timeline(tmp_path / "other.csv", out, "")
    with pytest.raises(ConfigError, match=r"\.png"):
        timeline(write_record(tmp_path / "run.csv"), tmp_path / "timeline.gif", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.csv", "run.csv"]


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_matplotlib(name: str, *arguments: Any, **more: Any) -> Any:
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return real_import(name, *arguments, **more)

    record = read_record(write_record(tmp_path / "run.csv"))
    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(MissingExtraError) as caught:
        draw(record)
    assert "emomusic-edge[plots]" in caught.value.mend
