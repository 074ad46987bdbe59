"""The README and the pages beside it cannot rot: commands, links, pictures and figures are held to what is there."""

from __future__ import annotations

import configparser
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import onnx.parser
import pytest
import typer.main

from emomusic_edge.cli import COMMANDS, app
from emomusic_edge.config import Settings, load_config, parse_assignments
from emomusic_edge.deam_index.annotations import read_annotations
from emomusic_edge.deam_index.starter_music.plan import PIECES
from emomusic_edge.errors import ConfigError
from emomusic_edge.fetch import PACKAGES
from emomusic_edge.manifest import read_bundle
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.engine import OrtEngine
from emomusic_edge.runtime.predictors import AffectPredictor

REPO = Path(__file__).resolve().parent.parent
PAGES = sorted([*REPO.glob("*.md"), *(REPO / "docs").glob("*.md"), REPO / "deam_index" / "data" / "README.md"])
NAMES = [page.relative_to(REPO).as_posix() for page in PAGES]

# Programs of the system whose arguments are theirs to check.
SYSTEM = {
    *("apt-get", "aplay", "dnf", "groups", "journalctl", "ls", "mkdir", "mosquitto_pub", "mosquitto_sub"),
    *("speaker-test", "systemctl", "useradd", "usermod"),
}


def text_of(name: str) -> str:
    return (REPO / name).read_text(encoding="utf-8")


def blocks(text: str, *kinds: str) -> list[str]:
    """The contents of the fenced blocks of these kinds."""
    found = re.findall(r"^ *```(\w+)\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL)
    return [content for kind, content in found if kind in kinds]


def code_spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL))


def table(section: str) -> list[list[str]]:
    """The cells of a section's tables, heads and rules left out."""
    rows = [line for line in section.splitlines() if line.startswith("|")]
    bodies = [row for row, after in zip(rows, [*rows[1:], ""], strict=True) if not after.startswith("|--")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in bodies if not row.startswith("|--")]


def section(text: str, heading: str) -> str:
    return re.split(r"^#+ .*$", text.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def lines_to_type(text: str) -> Iterator[list[str]]:
    """Each command line of the sh blocks, and each code span that begins like one, as words."""
    typed = [line for block in blocks(text, "sh", "console") for line in block.splitlines() if line.strip()]
    begins = re.compile(r"(make [a-z]|(\.venv/bin/)?(emomusic-edge|pip|python|pytest) [a-z.-])")
    for line in [*typed, *(span for span in code_spans(text) if begins.match(span))]:
        words = shlex.split(line.replace("…", ""), comments=True)
        yield words[: words.index(">")] if ">" in words else words


# What is typed


def check(words: list[str]) -> None:
    """Fail unless a command line could be typed as it stands."""
    program, *arguments = _unprefixed(words)
    match Path(program).name:
        case "make":
            _check_make(arguments)
        case "emomusic-edge":
            _check_own(arguments)
        case "pip":
            extras = {extra for word in arguments for extra in re.findall(r"\[([\w,]+)\]", word)}
            assert extras <= set(_setup()["options.extras_require"]), words
        case "python" | "python3" if arguments[0] == "-m":
            assert importlib.util.find_spec(arguments[1]), f"{arguments[1]} is no module"
        case "pytest":
            _check_pytest(arguments)
        case "install":
            assert all((REPO / word).is_file() for word in arguments if word.startswith("systemd/"))
        case other:
            assert other in SYSTEM, f"{shlex.join(words)}: nothing here knows how to check {other}"


def _unprefixed(words: list[str]) -> list[str]:
    """Without `sudo -u NAME env NAME=VALUE …`; the settings among the variables are checked."""
    rest = list(words)
    if rest[0] == "sudo":
        rest = rest[3:] if rest[1] == "-u" else rest[1:]
    if rest[0] == "env":
        rest = rest[1:]
    while re.match(r"[A-Z_]+=", rest[0]):
        rest = rest[1:]
    return rest


def _check_make(arguments: list[str]) -> None:
    makefile = text_of("Makefile")
    for word in arguments:
        name, _, value = word.partition("=")
        known = rf"\$[({{]{name}[)}}]" if value else rf"^{name}:"
        assert re.search(known, makefile, flags=re.MULTILINE), f"make {word}: not in the Makefile"


def _check_own(arguments: list[str]) -> None:
    """Parse the line down to its last sub-command, as the program would, without running it."""
    command: Any = typer.main.get_command(app)
    rest = list(arguments)
    while True:
        context = command.make_context(None, rest)
        if not hasattr(command, "resolve_command"):
            break
        # click splits what follows the group's own options in two, under a name that its versions disagree on
        named = getattr(context, "_protected_args", None) or getattr(context, "protected_args", [])
        _, command, rest = command.resolve_command(context, [*named, *context.args])
    load_config(None, parse_assignments(context.params.get("assignments") or ()))


def _check_pytest(arguments: list[str]) -> None:
    marks = re.findall(r"^(\w+):", _setup()["tool:pytest"]["markers"], flags=re.MULTILINE)
    expression = ""
    if "-m" in arguments:
        expression = arguments[arguments.index("-m") + 1]
        assert set(re.findall(r"\w+", expression)) - {"not", "and", "or"} <= set(marks)
    assert all((REPO / word).exists() for word in arguments if word not in ("-m", expression))


def _setup() -> configparser.ConfigParser:
    setup = configparser.ConfigParser()
    setup.read_string(text_of("setup.cfg"))
    return setup


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.mark.parametrize("name", NAMES)
def test_every_command_could_be_typed(name: str) -> None:
    for words in lines_to_type(text_of(name)):
        check(words)


def test_the_readme_holds_the_two_commands_and_more() -> None:
    typed = [shlex.join(words) for words in lines_to_type(text_of("README.md"))]
    assert {"make demo", "make test", "make pictures"} <= set(typed)
    assert len(typed) > 20


@pytest.mark.parametrize(
    "line",
    [
        "make nothing",
        "make demo NOTHING=1",
        ".venv/bin/emomusic-edge fly",
        ".venv/bin/emomusic-edge run --nothing",
        ".venv/bin/emomusic-edge run --set music.nothing=1",
        ".venv/bin/emomusic-edge index build --deam DIR",
        "pip install 'emomusic-edge[nothing]'",
        "sudo install -m 644 systemd/nothing.service /etc/systemd/system/",
        "pytest -m nothing",
        "unheard-of --flag",
    ],
)
def test_a_command_that_rotted_is_found(line: str) -> None:
    with pytest.raises(Exception, match=r".") as told:
        check(shlex.split(line))
    usage = type(told.value).__name__ in ("UsageError", "NoSuchOption", "NoSuchCommand", "MissingParameter")
    assert usage or isinstance(told.value, AssertionError | ConfigError)


def test_the_unit_starts_a_command_that_there_is() -> None:
    unit = text_of("systemd/emomusic-edge.service")
    started = re.findall(r"^ExecStart=(.*)$", unit, flags=re.MULTILINE)
    check(shlex.split(started[0]))
    assert started[0].split()[0] in text_of("docs/jetson.md")


@pytest.mark.parametrize("name", NAMES)
def test_settings_in_examples_are_settings(name: str, tmp_path: Path) -> None:
    text = text_of(name)
    for number, example in enumerate(blocks(text, "toml")):
        file = tmp_path / f"{number}.toml"
        file.write_text(example, encoding="utf-8")
        load_config(file)
    for parts in re.findall(r"EMOMUSIC_([A-Z]+)__([A-Z_]+)", text):
        group, field = (part.lower() for part in parts)
        assert hasattr(getattr(Settings(), group), field), f"{name}: EMOMUSIC_{group}__{field}"


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
    rooted = set(re.findall(r"(?<![\w.~>/*<}…)`-])`?(/[a-z]+)\b", text))
    assert rooted <= {"/dev", "/etc", "/home", "/opt", "/run", "/srv", "/usr", "/var"}, name


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
    info = _output("index", "info", where=tmp_path)
    for what in ("songs", "windows"):
        told, command = figures()[f"{what} in the bundled DEAM index"]
        assert command == ".venv/bin/emomusic-edge index info"
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
    assert ("**TensorRT** is not there yet" in told) == (not list((REPO / "runtime").rglob("*tensorrt*")))
    exporters = {path.stem for path in (REPO / "export").rglob("*.py")}
    missing = "**The exporter from PyTorch is not there yet**" in text_of("docs/your-own-models-and-music.md")
    assert missing == (not any("torch" in name for name in exporters))


# What is shown


GRAPH = """
<ir_version: 9, opset_import: ["": 17]>
face (uint8[1,224,224,3] image, float[T,768] masks) => (float[2] mean, float[2] variance, float[T,2] samples)
<int64[2] head = {512, 768}, int64[1] columns = {1}, int64[2] two = {-1, 2}, float scale = {100.0}, float one = {1.0}>
{
    pixels = Cast <to = 1> (image)
    light = ReduceMean <keepdims = 0> (pixels)
    begin = Constant <value_ints = [512]> ()
    end = Constant <value_ints = [514]> ()
    heads = Slice (masks, begin, end, columns)
    dimmed = Div (light, scale)
    samples = Mul (heads, dimmed)
    mean = ReduceMean <axes = [0], keepdims = 0> (samples)
    apart = Sub (samples, mean)
    squares = Mul (apart, apart)
    zero = Constant <value_ints = [0]> ()
    total = ReduceSum <keepdims = 0> (squares, zero)
    shape = Shape <end = 1> (samples)
    rows = Cast <to = 1> (shape)
    free = Sub (rows, one)
    variance = Div (total, free)
}
"""


def test_the_bundle_of_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = blocks(text_of("docs/your-own-models-and-music.md"), "python")
    monkeypatch.chdir(tmp_path)
    onnx.save(onnx.parser.parse_model(GRAPH), "my-face.onnx")
    exec(compile(example, "example", "exec"), {})  # the page's own code, as a reader would run it
    manifest, model = read_bundle(tmp_path / "my-face")
    predictor = AffectPredictor(OrtEngine(model, name=manifest.name), manifest)
    estimate = predictor.predict(np.full((90, 60, 3), 50, np.uint8))
    # half of the masks are 2, so that rows scatter around the picture's light / 100
    assert estimate.samples == 64
    assert estimate.mean == pytest.approx((0.5, 0.5), abs=0.3)
    assert min(estimate.variance) > 0.1


def test_the_ratings_of_the_example_are_read(tmp_path: Path) -> None:
    (example,) = [block for block in blocks(text_of("docs/your-own-models-and-music.md"), "text") if "song_id" in block]
    for axis in ("valence", "arousal"):
        (tmp_path / f"{axis}.csv").write_text(example, encoding="utf-8")
    songs = read_annotations(tmp_path).songs
    assert [song.song_id for song in songs] == [1, 2]
    assert songs[0].values[0] == pytest.approx([-0.4, -0.4])
