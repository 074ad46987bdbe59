"""The README and the pages beside it cannot rot: links, pictures, folder map and figures are held to what is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import cv2
import pytest
from pages import NAMES, REPO, code_spans, section, table, text_of

from emomusic_edge.cli import COMMANDS
from emomusic_edge.config import Settings
from emomusic_edge.deam_index.starter_music.plan import PIECES
from emomusic_edge.fetch import PACKAGES
from emomusic_edge.paths import DataLayout

# What is pointed to


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, made as code forges make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = REPO / name
    prose = re.sub(r"^ *```.*?^ *```", "", text_of(name), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), f"{name} points to {target}"
        assert place.is_relative_to(REPO), f"{name} points out of the repository: {target}"
        assert not anchor or anchor in anchors(place), f"{name} points to {target}"


@pytest.mark.parametrize("name", NAMES)
def test_paths_that_are_named_are_there(name: str) -> None:
    inside = re.compile(
        r"(emomusic_edge|runtime|export|deam_index|models|systemd|tests|docs)/[\w./-]*|\w+\.(md|cfg|toml)"
    )
    made = {"run.csv", "config.toml"}
    for span in code_spans(text_of(name)):
        if inside.fullmatch(span) and span not in made:
            assert (REPO / span).exists() or ((REPO / name).parent / span).exists(), f"{name} names {span}"


def test_every_page_is_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/[\w-]+\.md)", text_of("README.md")))
    assert linked == {name for name in NAMES if name.startswith("docs/")}


def test_the_folder_map_is_the_tree() -> None:
    told = {row[0].strip("`/") for row in table(section(text_of("README.md"), "Folders"))}
    tracked = subprocess.run(["git", "-C", str(REPO), "ls-files"], capture_output=True, text=True, check=True).stdout
    folders = {line.split("/")[0] for line in tracked.splitlines() if "/" in line and not line.startswith(".")}
    assert told == folders


def test_pictures_open() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text_of("README.md"))
    assert {Path(name).suffix for name in pictures} == {".svg", ".png"}
    for name in pictures:
        if name.endswith(".svg"):
            svg = ElementTree.fromstring(text_of(name))
            shown = "".join(svg.itertext()).replace("\N{NO-BREAK SPACE}", " ")
            assert all(word in shown for word in ("valence", "arousal", "mirror", "not a diagnosis"))
            assert not re.search(r"@font-face|url\(\s*[\"']?http|href=", text_of(name)), "it asks the network"
        else:
            picture = cv2.imread(str(REPO / name))
            assert picture is not None
            assert picture.shape[1] >= 1000
            assert picture.std() > 10


@pytest.mark.parametrize("name", [*NAMES, "docs/pictures/live-view.svg"])
def test_no_place_of_a_machine_and_no_host_is_named(name: str) -> None:
    text = text_of(name).replace("http://www.w3.org/2000/svg", "").replace("https://www.textualize.io", "")
    assert re.findall(r"https?://\S+|\b[\w-]+\.(?:org|com|io|net)\b", text) == []
    rooted = set(re.findall(r"(?<![\w.~>/*+<}…)`-])`?(/[a-z]+)\b", text))
    assert rooted <= {"/dev", "/etc", "/home", "/mnt", "/opt", "/run", "/srv", "/usr", "/var"}, name


@pytest.mark.parametrize("name", NAMES)
def test_no_page_has_an_empty_place(name: str) -> None:
    assert not re.findall(r"^(?:[A-Z]{4,}|TODO.*|TBD.*)$", text_of(name), flags=re.MULTILINE)


# What is told


@pytest.fixture(scope="module")
def printed(starter_layout: DataLayout, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the demo of `make pictures` prints."""
    flags = ["--fast", "--no-mqtt", "--dwell", "6"]
    assert f"demo {' '.join(flags)} " in text_of("Makefile")
    return _output("demo", *flags, "--set", f"paths.data_dir={starter_layout.root}", where=tmp_path_factory.mktemp("x"))


def _output(*arguments: str, where: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "emomusic_edge", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=where,
        env={**os.environ, "PYTHONPATH": str(REPO), "COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def figures() -> dict[str, tuple[str, str]]:
    """Value and command by figure."""
    rows = table(section(text_of("README.md"), "What you will see"))
    return {figure: (value, command.strip("`")) for figure, value, command in rows}


@pytest.mark.parametrize(
    ("figure", "pattern", "tolerance"),
    [
        ("frames worked on", r"frames +(\d+) in", 2),
        ("face found, % of frames", r"face +on (\d+)%", 1),
        ("held as too uncertain, % of frames", r"held +on (\d+)%", 2),
        ("steadied valence, lowest", r"valence .* from ([+-][\d.]+) to", 0.1),
        ("steadied valence, highest", r"valence .* to ([+-][\d.]+)", 0.1),
        ("songs", r"\d s  Starter \d+", 0),
    ],
)
def test_figures_of_the_demo(printed: str, figure: str, pattern: str, tolerance: float) -> None:
    told, command = figures()[figure]
    assert command == "make pictures"
    summary = printed.split("This run", 1)[1]
    found = re.findall(pattern, summary)
    value = float(found[0]) if re.compile(pattern).groups else len(found)
    assert float(told) == pytest.approx(value, abs=tolerance + 1e-9)


def test_figures_of_the_bundled_index(tmp_path: Path) -> None:
    info = _output("index", "info", "deam", where=tmp_path)
    for what in ("songs", "windows"):
        told, command = figures()[f"{what} in the bundled DEAM index"]
        assert command == ".venv/bin/emomusic-edge index info deam"
        assert re.search(rf"{what} +│ {told} ", info)
        assert f"{int(told):,} {what}" in text_of("docs/your-own-models-and-music.md")


def test_every_figure_is_one_that_is_printed(printed: str) -> None:
    times = {"work on one frame, median", "picture to answer in real time, median"}
    held = {"frames worked on", "face found, % of frames", "held as too uncertain, % of frames", "songs"}
    held |= {"steadied valence, lowest", "steadied valence, highest"}
    assert set(figures()) == times | held | {f"{what} in the bundled DEAM index" for what in ("songs", "windows")}
    assert re.search(r"latency +half within [\d.]+ ms", printed)
    assert all(re.fullmatch(r"[\d.]+ ms", figures()[figure][0]) for figure in times)


def test_what_is_fetched_is_told() -> None:
    rows = [row for row in table(section(text_of("README.md"), "Two commands")) if len(row) == 4]
    told = [(package, size, licence) for package, size, _, licence in rows]
    meant = [(package.label, f"{package.size_mb} MB", package.licence) for package in PACKAGES]
    assert [row[:2] for row in told] == [row[:2] for row in meant]
    assert all(row[2].split()[0] == other[2].split()[0] for row, other in zip(told, meant, strict=True))


def test_the_ratios_of_the_readme_are_those_of_the_page() -> None:
    """Each row of "How fast" is a row of the benchmark's own table, with fewer digits."""
    page = [row[1:] for row in table(section(text_of("docs/performance.md"), "Against what people would use instead"))]
    rows = [row for row in table(section(text_of("README.md"), "How fast")) if re.fullmatch(r"[\d.]+", row[-1])]
    assert len(rows) >= 7
    figures_of_page = [row for row in page if re.match(r"[\d.]+$", row[0])]
    for row in rows:
        assert any(_rounds_to(row[1:], other) for other in figures_of_page), row


def _rounds_to(told: list[str], found: list[str]) -> bool:
    return all(
        abs(float(few) - float(many.split()[0])) <= _half_a_digit(few) for few, many in zip(told, found, strict=True)
    )


def _half_a_digit(told: str) -> float:
    decimals = len(told.partition(".")[2])
    return 0.5 * 10.0**-decimals + 1e-9


DEFAULTS = Settings()


@pytest.mark.parametrize(
    ("page", "phrase"),
    [
        ("docs/architecture.md", f"only at a score of {DEFAULTS.faces.start_score:g}"),
        ("docs/architecture.md", f"last five frames down to {DEFAULTS.faces.min_score:g}"),
        ("docs/architecture.md", f"must be {DEFAULTS.faces.hysteresis:g} times as prominent"),
        ("docs/architecture.md", f"below {DEFAULTS.fusion.variance_floor:g} counts as"),
        ("docs/architecture.md", f"exp(-Δt / {DEFAULTS.stabilizer.time_constant_s:g} s)"),
        ("docs/architecture.md", f"not moved for {DEFAULTS.stabilizer.stale_after_s:g} s"),
        ("docs/architecture.md", f"the dwell time ({DEFAULTS.music.dwell_s:g} s)"),
        ("docs/architecture.md", f"nearer by more than {DEFAULTS.music.switch_margin:g}"),
        ("docs/architecture.md", f"crossfades over {DEFAULTS.player.crossfade_s:g} s"),
        ("docs/architecture.md", f"tried again every {DEFAULTS.player.device_retry_s:g} s"),
        ("README.md", f"looked for again every {DEFAULTS.player.device_retry_s:g} s"),
        ("docs/your-own-models-and-music.md", f"{len(PIECES)} pieces that the package composes"),
        ("CHANGELOG.md", f"{len(PIECES)} pieces composed"),
        ("README.md", "an idea of the real thing, not it"),
        ("README.md", "Not a diagnosis"),
    ],
)
def test_what_the_pages_say_of_the_defaults(page: str, phrase: str) -> None:
    assert phrase in " ".join(text_of(page).split())


def test_what_is_told_as_not_there_yet_is_not_there() -> None:
    told = " ".join(text_of("docs/jetson.md").split())
    assert ("There is no `service install` yet" in told) == ("service" not in COMMANDS)
