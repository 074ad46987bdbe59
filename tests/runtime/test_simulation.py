"""The simulation: series from a seed, the real parts driven, figures against counts by hand, the seed's rules."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from snapshots import snapshot
from typer.testing import CliRunner

from emomusic_edge.affect import FINDINGEMO
from emomusic_edge.cli import app
from emomusic_edge.contracts import FusedAffect, StableAffect, ValenceArousal
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.errors import ConfigError
from emomusic_edge.paths import packaged_deam_index
from emomusic_edge.runtime.record import RecordWriter
from emomusic_edge.runtime.simulation.drive import SILENCE, Played, drive_seed
from emomusic_edge.runtime.simulation.figures import figures, spans_s
from emomusic_edge.runtime.simulation.seed_rules import SeedMatcher, SeedStabilizer, seed_mapping
from emomusic_edge.runtime.simulation.series import KINDS, AffectSeries, Kind, from_record, made_up


@pytest.mark.parametrize("kind", KINDS)
def test_a_made_up_series_is_that_of_its_seed_and_within_the_scale(kind: Kind) -> None:
    one, same, other = (made_up(kind, hours=0.5, step_s=0.5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.mean, same.mean)
    assert not np.array_equal(one.mean, other.mean)
    assert one.hours == pytest.approx(0.5, abs=0.001)
    assert one.truth is not None
    for values in (one.truth, one.mean[np.isfinite(one.mean).all(axis=1)]):
        assert (values >= FINDINGEMO.low).all()
        assert (values <= FINDINGEMO.high).all()


def test_a_record_is_replayed_by_its_fused_estimates(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    with RecordWriter(path) as record:
        for row in range(4):
            fused = None if row == 2 else FusedAffect(ValenceArousal(0.5 * row, 2.0), ValenceArousal(5.0, 5.0), {})
            stable = StableAffect(ValenceArousal(0.0, 2.0), ValenceArousal(5.0, 5.0), (row == 1, False), 0.0)
            record.write(snapshot(t_s=7.0 + row / 10, fused=fused, stable=stable if row else None))
    series = from_record(path)
    np.testing.assert_allclose(series.t_s, [0.0, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(series.mean[:, 0], [0.0, 0.5, math.nan, 1.5])
    # the run's own verdict, whatever the variance was: unsure before the first stable value, and where held
    assert (series.variance > 0.4).tolist() == [[True, True], [True, False], [False, False], [False, False]]
    assert not series.steady
    with RecordWriter(tmp_path / "empty.csv") as record:
        record.write(snapshot(stable=None, fused=None))
    with pytest.raises(ConfigError, match="holds no affect"):
        from_record(tmp_path / "empty.csv")


def test_figures_against_a_count_by_hand() -> None:
    t_s = np.arange(10.0)
    play = np.array([SILENCE, 0, 0, 0, 1, 1, SILENCE, 2, 2, 2])
    points = np.array([[0.0, 0.0], [0.3, 0.4], [0.0, 0.0]])
    feeling = np.zeros((10, 2))
    played = Played(play, ("a", "b", "a"), points, feeling, sought=np.tile([0.3, 0.0], (10, 1)))
    series = AffectSeries("by hand", t_s, feeling, feeling)
    np.testing.assert_array_equal(spans_s(played, t_s), [[1, 4], [4, 6], [7, 9]])
    found = figures(series, played, feeling, lambda point: point, lambda _: ValenceArousal(0.3, 0.4))
    assert found.distance == pytest.approx(2 * 0.5 / 8)
    assert found.distance_standardised == pytest.approx(6 * 0.5 / 8)
    assert found.switches_per_hour == pytest.approx(2 / (9 / 3600))
    # six windows of 0 and two of 0.5 from the feeling; six of 0.3 and two of 0.4 from what was sought
    assert (found.distance_p10, found.distance_p50, found.distance_p90) == pytest.approx((0.0, 0.0, 0.5))
    assert found.goal_distance == pytest.approx((6 * 0.3 + 2 * 0.4) / 8)
    assert (found.goal_distance_p10, found.goal_distance_p50, found.goal_distance_p90) == pytest.approx((0.3, 0.3, 0.4))
    assert (found.dwell_median_s, found.dwell_shortest_s, found.dwell_longest_s) == (2.5, 2.0, 3.0)
    assert (found.dwell_p10_s, found.dwell_p90_s) == pytest.approx((2.1, 2.9))
    assert found.songs == 2
    assert found.effective_songs == pytest.approx(math.exp(2 / 3 * math.log(3 / 2) + 1 / 3 * math.log(3)))
    assert (found.repeat_median_songs, found.repeat_least_songs) == (2, 2)
    assert found.repeat_median_min == pytest.approx(3 / 60)
    assert found.silent_share == pytest.approx(1 / 9)


def test_silence_alone_has_figures_too() -> None:
    nothing = np.full((5, 2), np.nan)
    played = Played(np.full(5, SILENCE), (), np.empty((0, 2)), nothing)
    series = AffectSeries("silence", np.arange(5.0), nothing, nothing)
    found = figures(series, played, nothing, lambda point: point, lambda point: point)
    assert math.isnan(found.distance)
    assert (found.songs, found.silent_share) == (0, 1.0)


def test_the_seeds_stabilizer_goes_on_behind_a_held_output() -> None:
    """By hand, from the seed's text: alpha 0.7, the first frame accepted, the average moved though held."""
    stabilizer = SeedStabilizer()
    unsure, sure = np.array([0.5, 0.1]), np.array([0.1, 0.1])
    assert stabilizer.update(np.array([1.0, 2.0]), unsure).tolist() == [1.0, 2.0]
    assert stabilizer.update(np.array([2.0, 3.0]), unsure).tolist() == pytest.approx([1.0, 0.7 * 3 + 0.3 * 2])
    third = stabilizer.update(np.array([2.0, 3.0]), sure)
    assert third[0] == pytest.approx(0.7 * 2 + 0.3 * (0.7 * 2 + 0.3 * 1))


def test_the_seeds_matcher_counts_the_playing_song_as_recent() -> None:
    index = read_index(packaged_deam_index())
    matcher = SeedMatcher(index)
    stable = np.array([0.0, 3.0])
    assert seed_mapping(stable).tolist() == [0.0, 0.0]
    rows = [matcher.recommend(stable, 25.0 * turn) for turn in range(8)]
    songs = index.song[rows].tolist()
    assert all(a != b for a, b in itertools.pairwise(songs))  # a switch each 25 s, though nothing changed
    assert all(len(set(songs[place : place + 6])) == 6 for place in range(3))
    assert matcher.recommend(np.array([3.0, 6.0]), 25.0 * 7 + 24) == rows[-1]


def test_the_seeds_rules_fall_silent_when_a_late_start_ends() -> None:
    index = read_index(packaged_deam_index())
    series = made_up("steps", hours=0.5, step_s=0.5, seed=0)
    played = drive_seed(series, index)
    assert (played.play == SILENCE).mean() > 0.05


def test_the_command_tells_both_rules_and_is_reproducible(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    line = ["simulate", "--hours", "1", "--step", "0.5", "--set", "music.index=deam"]
    runner = CliRunner()
    ran = runner.invoke(app, [*line, "--json", "--plots", str(tmp_path / "plots")])
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    ours, seed = told["rules"]["ours"], told["rules"]["seed"]
    assert ours["distance"] < seed["distance"]
    assert ours["silent_share"] < seed["silent_share"]
    assert ours["dwell_shortest_s"] >= 24.9
    assert {file.name for file in (tmp_path / "plots").iterdir()} == {"music-over-time.png", "music-spread.png"}
    for figures_told in (ours, seed):
        assert figures_told["dwell_p10_s"] <= figures_told["dwell_median_s"] <= figures_told["dwell_p90_s"]
        assert figures_told["distance_p10"] <= figures_told["distance_p50"] <= figures_told["distance_p90"]
    assert ours["goal_distance_p90"] < seed["goal_distance_p90"]
    again = json.loads(runner.invoke(app, [*line, "--json"]).stdout)
    for name in ("ours", "seed"):
        for figure in again["rules"][name].keys() - {"times_real_time"}:
            assert again["rules"][name][figure] == told["rules"][name][figure]
    table = runner.invoke(app, [*line, "--rules", "seed"]).stdout
    assert "effective songs" in table
    assert "what the mode seeks to song" in table
    assert "ours" not in table.split("real time")[0].split("index deam")[1]


def test_the_command_refuses_what_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    refused = CliRunner().invoke(app, ["simulate", "--record", str(tmp_path / "x.csv")])
    assert isinstance(refused.exception, ConfigError)


def test_forget_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from emomusic_edge.runtime.choice.feedback import Counts
    from emomusic_edge.runtime.choice.feedback_store import FeedbackStore

    monkeypatch.setenv("EMOMUSIC_PATHS__DATA_DIR", str(tmp_path))
    runner = CliRunner()
    path = tmp_path / "likes.sqlite"
    assert f"nothing to forget in {path}." in runner.invoke(app, ["forget", "--yes"]).output
    FeedbackStore(tmp_path / "likes.sqlite", "deam").add("a song", Counts(likes=1))
    runner.invoke(app, ["forget"], input="n\n")
    assert b"a song" in (tmp_path / "likes.sqlite").read_bytes()
    assert f"Forgot 1 song in {path}." in runner.invoke(app, ["forget"], input="y\n").output
    assert b"a song" not in (tmp_path / "likes.sqlite").read_bytes()
