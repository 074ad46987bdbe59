"""The goals' table: bounds on the right side, nothing missing is called met, nothing noisy is called trusted."""

from __future__ import annotations

import dataclasses
import functools
import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
from bench_peers import parse
from side_by_side.goals import Figure, Goal, judge
from side_by_side.result import Result, write_json
from side_by_side.roster import DUELS, MEMBERS
from side_by_side.service import ServiceFigures
from side_by_side.tables import goal_rows, markdown, peer_rows
from side_by_side.turns import IDLE_BOUND

from emomusic_edge.runtime.bench.machine import read_machine
from emomusic_edge.runtime.bench.noise import noise_verdict

QUIET = [3.0] * 50
NOISY = [3.0] * 30 + [6.0] * 20

MET = {
    "seed_loop": 3500.0,
    "pair_fp32": 99.0,
    "pair_int8": 38.0,
    **{f"{source}_{precision}_T5": 20.0 for source in ("scene", "face") for precision in ("fp32", "int8")},
    **{f"{source}_{precision}_T64": 20.5 for source in ("scene", "face") for precision in ("fp32", "int8")},
    "scene_heads": 0.24,
    "face_heads": 0.11,
    "face_int8_T20": 7.0,
    "hsemotion": 14.0,
    "scene_fp32_graph": 58.0,
    "products_ort": 45.0,
    "products_numpy": 70.0,
    "products_peak": 96.0,
    "detector_short": 1.5,
    "mediapipe_short": 2.3,
    "detector_full": 4.0,
    "mediapipe_full": 6.6,
}
# The square product is twice the model's work: alone, that takes 48 ms.
FACTS = {"products_flop": 8_830_000_000, "products_peak_flop": 17_660_000_000}
SERVICE = ServiceFigures(
    start_s=[1.2, 1.3, 9.0],
    resident_mib=[290.0, 300.0],
    step_ms=[40.0] * 20,
    neither_ms=[0.8] * 20,
    age_ms=[70.0] * 98 + [500.0] * 2,
    imported=[],
    frames_ready=3,
    noise_ms=QUIET,
    camera_start_s=[1.4, 1.3],
    providers={"scene": "CPUExecutionProvider"},
)


def rounds(times: dict[str, float]) -> dict[str, list[list[float]]]:
    return {case: [[time, time], [time, time]] for case, time in times.items()}


@functools.cache
def met_goals() -> list[Goal]:
    return judge(rounds(MET), SERVICE, {}, FACTS)


def result(noise: list[float] | None = QUIET, **changes: object) -> Result:
    measured = rounds(MET)
    made = Result(
        created_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        machine=read_machine(),
        revision="0" * 40 + "+dirty",
        bundles={"scene-int8": "a" * 64},
        quick=False,
        seconds=60.0,
        noise=noise_verdict(noise) if noise else None,
        idle_share=0.0,
        about={"ours": "emomusic-edge"},
        facts=FACTS,
        memory_mib={"ours": 700.0},
        missing={"fer": ".venv-fer is not there: make peer-fer"},
        rounds_ms=measured,
        service=SERVICE,
        goals=met_goals(),
        threads={"ours": {"ONNX Runtime": 2}, "torch": {"PyTorch": 2}},
    )
    return dataclasses.replace(made, **changes)


def test_figures_within_their_bounds_meet_all_twelve_goals() -> None:
    goals = met_goals()
    assert len(goals) == 12
    assert [goal.what for goal in goals if goal.verdict != "met"] == []


@pytest.mark.parametrize(
    ("case", "value", "place"),
    [
        ("seed_loop", 3400.0, 0),
        ("pair_int8", 39.5, 1),
        ("face_int8_T64", 21.5, 2),
        ("scene_heads", 0.26, 3),
        ("face_heads", 0.13, 3),
        ("hsemotion", 11.0, 4),
        ("scene_fp32_graph", 61.0, 5),
        ("products_peak", 92.0, 5),
        ("mediapipe_short", 1.9, 6),
        ("detector_full", 5.5, 6),
    ],
)
def test_one_figure_on_the_wrong_side_misses_its_goal(case: str, value: float, place: int) -> None:
    goals = judge(rounds({**MET, case: value}), SERVICE, {}, FACTS)
    assert goals[place].verdict == "missed"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"neither_ms": [2.5] * 20, "step_ms": [100.0] * 20}, 7),
        ({"neither_ms": [1.5] * 20}, 7),
        ({"age_ms": [101.0] * 20}, 8),
        ({"resident_mib": [100.0, 340.0]}, 9),
        ({"start_s": [1.6, 1.6, 1.2]}, 10),
        ({"camera_start_s": [1.6]}, 10),
        ({"imported": ["onnx"]}, 11),
    ],
)
def test_one_figure_of_the_service_on_the_wrong_side(change: dict[str, object], place: int) -> None:
    goals = judge(rounds(MET), dataclasses.replace(SERVICE, **change), {}, FACTS)
    assert goals[place].verdict == "missed"


def test_a_start_without_a_camera_is_told_with_its_reason() -> None:
    service = dataclasses.replace(SERVICE, camera_start_s=[], camera_missing="no C compiler")
    goal = judge(rounds(MET), service, {}, FACTS)[10]
    assert goal.verdict == "not measured"
    assert [figure.missing for figure in goal.figures] == ["", "no C compiler"]


def test_megabytes_are_a_million_bytes() -> None:
    """334 MiB are 350.2 MB."""
    assert judge({}, dataclasses.replace(SERVICE, resident_mib=[334.0]), {}, {})[9].verdict == "missed"


def test_the_limit_is_the_rate_of_square_products_and_own_shapes_are_only_told() -> None:
    """58 ms against 48 ms for the multiply-adds at that rate; against the model's own shapes it may be anything."""
    (figure,) = met_goals()[5].figures
    assert figure.value == pytest.approx(58.0 / 48.0)
    for products_ms in (20.0, 58.0):
        goal = judge(rounds({**MET, "products_ort": products_ms}), SERVICE, {}, FACTS)[5]
        assert goal.verdict == "met"
        (beside,) = goal.beside
        assert beside.value == pytest.approx(58.0 / products_ms)
        assert (beside.bound, beside.verdict) == (None, None)
    without = judge(rounds({name: time for name, time in MET.items() if name != "products_peak"}), SERVICE, {}, FACTS)
    assert without[5].verdict == "not measured"


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    goals = judge({}, None, {"hsemotion": "it is not there", "service": "no broker"}, {})
    assert [goal.verdict for goal in goals] == ["not measured"] * 12
    assert all(figure.missing for goal in goals for figure in goal.figures)
    assert "no broker" in goals[9].figures[0].missing


def test_a_goal_half_measured_is_missed_when_that_half_is() -> None:
    well, ill = Figure("", 1.0, "ms", 2.0), Figure("", 3.0, "ms", 2.0)
    absent = Figure("", None, "ms", 2.0, missing="gone")
    assert Goal("", (well, absent)).verdict == "not measured"
    assert Goal("", (ill, absent)).verdict == "missed"
    assert Goal("", (well, well)).verdict == "met"


@pytest.mark.parametrize(
    ("low", "high", "at_least", "verdict"),
    [
        (1.5, 1.9, False, "met"),
        (1.9, 2.0, False, "met"),
        (1.9, 2.1, False, "not decided"),
        (2.1, 2.5, False, "missed"),
        (1.5, 1.9, True, "missed"),
        (1.9, 2.1, True, "not decided"),
        (2.0, 2.5, True, "met"),
    ],
)
def test_an_interval_that_holds_the_bound_decides_nothing(
    low: float, high: float, at_least: bool, verdict: str
) -> None:
    figure = Figure("", (low + high) / 2, "x", 2.0, at_least, low, high)
    assert figure.verdict == verdict
    assert Goal("", (figure, Figure("", 1.0, "ms", 2.0))).verdict == verdict


def test_rounds_that_disagree_leave_a_goal_undecided() -> None:
    """Half the rounds say 0.2 ms, half 0.3 ms: a bound of 0.25 lies between."""
    told = rounds(MET)
    told["scene_heads"] = [[0.2, 0.2], [0.3, 0.3]] * 10
    goal = judge(told, SERVICE, {}, FACTS)[3]
    assert [figure.verdict for figure in goal.figures] == ["not decided", "met"]
    assert goal.verdict == "not decided"


def test_threads_are_told_and_unlike_ones_named() -> None:
    assert "The source document's loop and ours ran on the same number of threads: 2." in markdown(result())
    unlike = result(threads={"ours": {"ONNX Runtime": 2}, "torch": {"PyTorch": 4}})
    assert "ran on unlike threads: 4 against 2." in markdown(unlike)
    assert "Threads of torch: PyTorch 4." in markdown(unlike)


def test_only_a_quiet_whole_run_is_trusted() -> None:
    assert result().trusted
    noisy_service = dataclasses.replace(SERVICE, noise_ms=NOISY)
    for untrusted in (
        result(NOISY),
        result(QUIET[:5]),
        result(idle_share=2 * IDLE_BOUND),
        result(quick=True),
        result(service=noisy_service),
        result(noise=None, service=None),
    ):
        assert not untrusted.trusted
        assert all(line in markdown(untrusted) for _, line in untrusted.verdicts)
    for noisy in (result(NOISY), result(idle_share=2 * IDLE_BOUND), result(service=noisy_service)):
        assert sum("TOO NOISY TO TRUST" in line for _, line in noisy.verdicts) == 1


def test_the_service_and_the_turns_have_a_verdict_each() -> None:
    told = result(service=dataclasses.replace(SERVICE, noise_ms=NOISY)).verdicts
    assert [(trusted, line.split(": ")[0]) for trusted, line in told] == [(True, "The turns"), (False, "The service")]
    assert [line.split(": ")[0] for _, line in result(service=None).verdicts] == ["The turns"]
    assert [line.split(": ")[0] for _, line in result(noise=None).verdicts] == ["The service"]
    assert result(noise=None).trusted


def test_the_tables_have_a_row_for_each_goal_and_peer_and_tell_what_is_missing() -> None:
    told = result()
    assert [row[-1] for row in goal_rows(told)] == ["met"] * 12
    rows = peer_rows(told)
    assert len(rows) == len(DUELS)
    assert any("not measured" in cell for row in rows for cell in row)
    assert ".venv-fer is not there: make peer-fer" in markdown(told)
    first, *page = [line for line in markdown(told).splitlines() if line]
    assert first.startswith(told.machine.cpu)
    assert all(line in first for _, line in told.verdicts)
    assert all(line.startswith("|") and line.endswith("|") for line in page)
    assert len(page) == 2 + 12 + 2 + len(DUELS)


def test_a_cell_of_a_plain_table_is_one_line() -> None:
    told = result(missing={"fer": "a reason\nof | two lines"})
    assert "a reason of \\| two lines" in markdown(told)


def test_the_json_holds_every_time_and_the_verdict(tmp_path: Path) -> None:
    write_json(tmp_path / "new" / "bench.json", result(NOISY))
    told = json.loads((tmp_path / "new" / "bench.json").read_text())
    assert told["trusted"] is False
    assert told["service_noise"]["trusted"] is True
    assert told["bundles"] == {"scene-int8": "a" * 64}
    assert told["revision"].endswith("+dirty")
    assert told["service"]["noise_ms"] == QUIET
    assert told["rounds_ms"]["seed_loop"] == [[3500.0, 3500.0], [3500.0, 3500.0]]
    assert [goal["verdict"] for goal in told["goals"]] == ["met"] * 12
    assert told["goals"][0]["figures"][0]["verdict"] == "met"
    assert told["threads"] == {"ours": {"ONNX Runtime": 2}, "torch": {"PyTorch": 2}}
    assert told["service"]["providers"] == {"scene": "CPUExecutionProvider"}
    assert told["not_measured"] == {"fer": ".venv-fer is not there: make peer-fer"}


def test_quick_is_short() -> None:
    quick, whole = parse(["--quick"]), parse([])
    assert (quick.rounds, quick.service_seconds) < (whole.rounds, whole.service_seconds)
    assert parse(["--only", "haar", "--only", "service"]).only == ["haar", "service"]
    with pytest.raises(SystemExit):
        parse(["--only", "nobody"])


def test_every_peer_has_a_target_and_a_module(repo: Path) -> None:
    makefile = (repo / "Makefile").read_text()
    page = (repo / "docs" / "peers.md").read_text()
    for member in MEMBERS:
        assert f"\n{member.make}:" in makefile
        assert (repo / "benchmarks" / "peers" / f"{member.module}.py").is_file()
        assert f"make {member.make}" in page
