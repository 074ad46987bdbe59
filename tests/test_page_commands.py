"""Every command on every page could be typed as it stands: targets, options, settings and files are there."""

from __future__ import annotations

import configparser
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pages import NAMES, REPO, blocks, code_spans, text_of

from emomusic_edge.cli import app
from emomusic_edge.config import load_config, parse_assignments
from emomusic_edge.errors import ConfigError

# Programs of the system whose arguments are theirs to check.
SYSTEM = {
    *(
        "apt-get",
        "aplay",
        "dnf",
        "groups",
        "journalctl",
        "ls",
        "mkdir",
        "mosquitto_pub",
        "mosquitto_rr",
        "nano",
        "openssl",
        "printf",
        "mosquitto_sub",
    ),
    *("rm", "scp", "speaker-test", "systemctl", "truncate", "useradd", "usermod"),
}


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
