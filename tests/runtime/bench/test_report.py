from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from reports import MACHINE, PIPELINE, report, result
from rich.console import Console

from emomusic_edge.errors import ConfigError
from emomusic_edge.runtime.bench.compare import (
    check_alike,
    compare_cases,
    compare_machines,
    compare_pipelines,
    conditions,
    difference,
    machine_differences,
    parse_side,
)
from emomusic_edge.runtime.bench.jetson import JetsonFigures
from emomusic_edge.runtime.bench.noise import noise_verdict
from emomusic_edge.runtime.bench.pipeline import neither_ms
from emomusic_edge.runtime.bench.report import read_report, write_report
from emomusic_edge.runtime.bench.tables import machines_view, report_view

ANOTHER = "b" * 64


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "here.json"
    a, b = result(2.0), result(1.0, samples=64)
    whole = report(a, b, pipeline=PIPELINE, comparison=compare_cases(a, b), absent=("TensorRT: no GPU",))
    write_report(file, whole)
    assert read_report(file) == whole


def test_the_file_names_what_a_figure_must_be_read_with(tmp_path: Path) -> None:
    file = tmp_path / "here.json"
    write_report(file, report(result(2.0)))
    told = json.loads(file.read_text())
    assert told["schema_version"] == 2
    assert told["machine"].keys() >= {"cpu", "cores", "governor", "load_before", "python", "packages"}
    assert told["cases"][0]["case"]["provider"] == "CPUExecutionProvider"
    assert told.keys() >= {"threads", "noise", "created_at", "jetson", "absent"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema_version": 1}, "schema version 1, this program reads 2"),
        ({"threads": "many"}, "no benchmark's file: threads"),
        ({"more": 1}, "no benchmark's file: more"),
    ],
)
def test_another_schema_is_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    file = tmp_path / "here.json"
    write_report(file, report(result(2.0)))
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ConfigError, match=says):
        read_report(file)


def test_a_file_that_is_not_there_or_no_json_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_report(tmp_path / "none.json")
    (tmp_path / "text.json").write_text("hello")
    with pytest.raises(ConfigError, match="no benchmark's file"):
        read_report(tmp_path / "text.json")


# What may be compared


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "detector", "source": None, "samples": 0}, "a face model, face-stub a detector"),
        ({"source": "scene", "sha256": ANOTHER}, "looks at a face, face-stub at a scene"),
        ({"height_px": 64, "width_px": 48, "sha256": ANOTHER}, "takes 8x8 pixels, face-stub 48x64"),
    ],
)
def test_unlike_things_are_refused_unless_forced(changes: dict[str, Any], says: str) -> None:
    a, b = result(1.0).case, result(1.0, **changes).case
    with pytest.raises(ConfigError, match=says) as told:
        check_alike(a, b, force=False)
    assert "--force" in told.value.mend
    check_alike(a, b, force=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"samples": 64},
        {"engine": "tensorrt", "provider": "TensorRT 10.3"},
        {"sha256": ANOTHER, "precision": "int8"},
        {"sha256": ANOTHER, "kind": "closed_form", "samples": 0},
    ],
)
def test_choices_are_compared(changes: dict[str, Any]) -> None:
    a, b = result(1.0).case, result(1.0, **changes).case
    check_alike(a, b, force=False)
    assert difference(a, b) == ""


def test_a_thing_is_not_compared_with_itself() -> None:
    with pytest.raises(ConfigError, match="the same thing twice"):
        check_alike(result(1.0).case, result(1.0).case, force=True)


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("face", ("face", None, "cpu")),
        ("face@5", ("face", 5, "cpu")),
        ("./face@cuda", ("./face", None, "cuda")),
        ("face@64@tensorrt", ("face", 64, "tensorrt")),
    ],
)
def test_a_side_is_a_bundle_a_t_and_an_engine(text: str, side: tuple[str, int | None, str]) -> None:
    told = parse_side(text)
    assert (told.bundle, told.samples, told.engine) == side


@pytest.mark.parametrize("text", ["face@0", "face@129", "face@gpu", "face@", "face@²"])
def test_a_side_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="neither a T from 1 to 128 nor one of tensorrt, cuda, cpu"):
        parse_side(text)


# Two machines


def test_machines_are_compared_by_file_precision_and_t() -> None:
    a = report(result(2.0), result(3.0, samples=64), result(9.0, sha256=ANOTHER))
    b = report(result(4.0), result(5.0, samples=20), result(1.0, samples=64, engine="tensorrt", provider="TensorRT 10"))
    ratios = compare_machines(a, b, force=True)
    assert [(row.a.case.samples, row.b.case.engine) for row in ratios] == [(5, "cpu"), (64, "tensorrt")]
    assert [row.ratio for row in ratios] == pytest.approx([0.5, 3.0])


def test_the_same_engine_is_held_against_the_same() -> None:
    a = report(result(2.0), result(1.0, engine="cuda"))
    b = report(result(4.0), result(0.5, engine="tensorrt"))
    ratios = compare_machines(a, b, force=False)
    assert [(row.a.case.engine, row.b.case.engine) for row in ratios] == [("cpu", "cpu")]


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"sha256": ANOTHER}, "face-stub differ in sha256"), ({"bundle": "other", "sha256": ANOTHER}, "share no bundle")],
)
def test_machines_that_measured_nothing_alike_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        compare_machines(report(result(1.0)), report(result(1.0, **changes)), force=True)


@pytest.mark.parametrize(
    ("changes", "threads", "says"),
    [
        ({"engine": "tensorrt", "provider": "TensorRT 10"}, 0, "face-stub ran on cpu on A, on tensorrt on B"),
        ({}, 2, "threads: one a core on A, 2 on B"),
    ],
)
def test_machines_that_ran_it_otherwise_are_refused_unless_forced(
    changes: dict[str, Any], threads: int, says: str
) -> None:
    a, b = report(result(2.0)), report(result(4.0, **changes), threads=threads)
    with pytest.raises(ConfigError, match=says) as told:
        compare_machines(a, b, force=False)
    assert "--force" in told.value.mend
    ratios = compare_machines(a, b, force=True)
    assert [row.ratio for row in ratios] == pytest.approx([0.5])
    assert f"unlike: {says}" in shown(machines_view(a, b, ratios))
    assert machine_differences(a, a) == []


def test_among_several_engines_the_fastest_is_forced() -> None:
    a = report(result(2.0), result(1.0, engine="cuda"))
    b = report(result(4.0, engine="tensorrt"))
    assert [row.a.case.engine for row in compare_machines(a, b, force=True)] == ["cuda"]


# What is shown


def shown(view: Any) -> str:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def test_the_work_that_is_neither_model_nor_detector() -> None:
    assert neither_ms(PIPELINE) == pytest.approx([0.5, 0.7])


def test_noise_is_never_silent() -> None:
    noisy = noise_verdict([1.0, 2.0] * 10)
    text = shown(report_view(report(result(2.0), noise=noisy, pipeline=PIPELINE)))
    assert "TOO NOISY TO TRUST" in text
    other = shown(machines_view(report(result(2.0)), report(result(2.0), noise=noisy), []))
    assert other.count("TOO NOISY TO TRUST") == 1
    assert other.count("Quiet enough") == 1


@pytest.mark.parametrize(
    ("a_quiet", "b_quiet", "says"),
    [
        (True, True, ""),
        (False, True, "* not to be quoted: A not known to be quiet"),
        (True, False, "* not to be quoted: B not known to be quiet"),
        (False, False, "* not to be quoted: A and B not known to be quiet"),
    ],
)
def test_ratios_of_a_side_that_is_not_trusted_are_marked(a_quiet: bool, b_quiet: bool, says: str) -> None:
    a, b = (report(result(2.0), noise=noise_verdict([1.0] * (20 if quiet else 5))) for quiet in (a_quiet, b_quiet))
    text = shown(machines_view(a, b, compare_machines(a, b, force=False)))
    assert ("1.00*" in text) == bool(says)
    assert says in text
    assert ("not to be quoted" in text) == bool(says)


def test_a_table_fits_a_terminal() -> None:
    a, b = result(2000.0, bundle="scene-clip-vitb32-int8"), result(0.01, samples=64, latency_only=True)
    text = shown(report_view(report(a, b, comparison=compare_cases(a, b), pipeline=PIPELINE, absent=("CUDA: none",))))
    assert "…" not in text
    assert "random weights" in " ".join(text.split())
    assert "times as long as" in text
    assert "neither model nor detector" in text
    assert "not measured: CUDA: none" in text


def test_the_clip_has_a_verdict_of_its_own() -> None:
    noisy = PIPELINE.model_copy(update={"noise": noise_verdict([1.0, 2.0] * 10)})
    text = shown(report_view(report(result(2.0), pipeline=noisy)))
    assert "The turns: Quiet enough" in text
    assert "The clip: TOO NOISY TO TRUST" in text


def test_the_way_of_a_frame_is_held_side_by_side_on_the_same_clip_alone() -> None:
    slower = PIPELINE.model_copy(update={"stages_ms": {**PIPELINE.stages_ms, "scene": (4.0, 4.0)}})
    a, b = report(result(2.0), pipeline=PIPELINE), report(result(2.0), pipeline=slower)
    stages, why_not = compare_pipelines(a, b)
    assert why_not == ""
    found = {row.stage: row.spread for row in stages}
    assert (found["scene"].ratio, found["detect"].ratio) == (0.5, 1.0)
    assert found["scene"].low <= 0.5 <= found["scene"].high
    assert {"the whole step", "age of the picture, in real time"} <= found.keys()
    assert "A against B: the way of a frame on clip.mp4" in shown(machines_view(a, b, []))
    other = report(result(2.0), pipeline=PIPELINE.model_copy(update={"clip": "other.mp4"}))
    assert compare_pipelines(a, other) == ([], "the way of a frame: other clip: clip.mp4 on A, other.mp4 on B")
    assert compare_pipelines(a, report(result(2.0))) == ([], "the way of a frame: B has none")
    assert compare_pipelines(report(), report()) == ([], "")


def test_what_else_differs_is_named_and_no_reason_to_refuse() -> None:
    machine = MACHINE.model_copy(update={"governor": "schedutil", "packages": {"numpy": "2.4.6", "CUDA": "12.6"}})
    board = JetsonFigures(readings=1, power_w=7.0, hottest_c=50.0, gpu_mhz=600.0, cpu_mhz=1400.0, power_model="15W")
    a, b = report(result(2.0)), report(result(2.0), machine=machine, jetson=board)
    assert conditions(a, b) == [
        "governor: performance on A, schedutil on B",
        "power model: none on A, 15W on B",
        "CUDA: none on A, 12.6 on B",
        "numpy: 2.0.0 on A, 2.4.6 on B",
    ]
    assert "unlike: governor: performance on A, schedutil on B" in shown(
        machines_view(a, b, compare_machines(a, b, force=False))
    )
