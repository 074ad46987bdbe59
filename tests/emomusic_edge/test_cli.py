"""The command line: lazy commands, one screen for an error, exit codes as documented."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from emomusic_edge import __version__, cli, errors
from emomusic_edge.cli import COMMANDS, main
from emomusic_edge.cli.lazy import LazyCommand
from emomusic_edge.cli.output import BUG_EXIT_CODE, INTERRUPTED_EXIT_CODE, SYSTEM_EXIT_CODE, USAGE_EXIT_CODE
from emomusic_edge.errors import EmomusicError

HEAVY = ("rich", "cv2", "onnxruntime", "scipy", "pygame", "numpy", "pydantic", "paho", "onnx", "matplotlib")

COMMAND_MODULE = '''
import threading, typer

app = typer.Typer(help="Two parts.")

@app.command()
def first(times: int = 1) -> None:
    """The first part."""
    typer.echo("first " * times)

def boom(kind: str = "emomusic", word: str = "") -> None:
    """Fail."""
    from emomusic_edge import errors
    if kind == "none":
        typer.echo(f"fine {word}")
    elif kind == "os":
        raise PermissionError(13, "Permission denied", "/some/file")
    elif kind == "bug":
        raise ZeroDivisionError("division\\nsecond line")
    elif kind == "silent-bug":
        raise AssertionError
    elif kind == "interrupt":
        raise KeyboardInterrupt
    elif kind == "exit":
        raise typer.Exit(5)
    else:
        raise getattr(errors, kind)("It is [red]broken[/red].", mend="emomusic-edge mend it")

def wait() -> None:
    """Wait for ever."""
    print("waiting", flush=True)
    threading.Event().wait()
'''

RUNNER = """
import sys
sys.path.insert(0, {folder!r})
from emomusic_edge import cli
from emomusic_edge.cli.lazy import LazyCommand
for name in ("boom", "wait"):
    cli.COMMANDS[name] = LazyCommand("made_up_commands:" + name, "Made up.")
cli.COMMANDS["parts"] = LazyCommand("made_up_commands:app", "Made up.")
cli.COMMANDS["other"] = LazyCommand("no_such_module:app", "Not there.")
cli.main()
"""


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three made-up commands in the registry: a group `parts`, `boom`, `wait`; and one whose module is missing."""
    (tmp_path / "made_up_commands.py").write_text(COMMAND_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "made_up_commands", raising=False)
    monkeypatch.setitem(COMMANDS, "parts", LazyCommand("made_up_commands:app", "Two parts."))
    monkeypatch.setitem(COMMANDS, "boom", LazyCommand("made_up_commands:boom", "Fails when asked to."))
    monkeypatch.setitem(COMMANDS, "other", LazyCommand("no_such_module:app", "Its module is missing."))


@pytest.fixture
def runner(tmp_path: Path) -> list[str]:
    """The start of a command line that runs the program, with the made-up commands, in a process of its own."""
    (tmp_path / "made_up_commands.py").write_text(COMMAND_MODULE)
    script = tmp_path / "runner.py"
    script.write_text(RUNNER.format(folder=str(tmp_path)))
    return [sys.executable, str(script)]


def code_of(*line: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(line)
    assert isinstance(caught.value.code, int)
    return caught.value.code


# Lazy commands


def test_help_lists_every_command_and_imports_none() -> None:
    code = (
        "import sys\nfrom emomusic_edge.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        f"print('IMPORTED', [m for m in {HEAVY!r} if m in sys.modules],"
        " [m for m in sys.modules if m.startswith('emomusic_edge.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    shown, _, imported = done.stdout.partition("IMPORTED ")
    for name, command in COMMANDS.items():
        assert name in shown
        assert command.help in " ".join(shown.replace("│", " ").split())
    heavy, _, own = imported.partition("] [")
    assert heavy == "["
    assert sorted(re.findall(r"'(.+?)'", own)) == [
        "emomusic_edge.cli",
        "emomusic_edge.cli.lazy",
        "emomusic_edge.cli.output",
        "emomusic_edge.errors",
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_is_there(name: str) -> None:
    command = COMMANDS[name]
    assert command.load(name).name == name
    assert re.fullmatch(r"[^\n]{10,60}\.", command.help)


@pytest.mark.usefixtures("made_up")
def test_a_function_is_a_command_and_an_app_a_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("parts", "first", "--times", "2") == 0
    assert capsys.readouterr().out == "first first \n"
    assert code_of("boom", "--kind", "none") == 0
    assert code_of("parts", "--help") == 0
    assert "The first part." in capsys.readouterr().out


@pytest.mark.usefixtures("made_up")
def test_only_the_command_that_is_called_is_imported(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("--help") == 0
    assert "Its module is missing." in capsys.readouterr().out
    assert "made_up_commands" not in sys.modules
    assert code_of("boom", "--help") == 0
    assert "made_up_commands" in sys.modules
    assert "Usage: emomusic-edge boom" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("--version") == 0
    assert capsys.readouterr().out == f"emomusic-edge {__version__}\n"


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "emomusic_edge", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"emomusic-edge {__version__}\n"


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    code_of()
    told = capsys.readouterr()
    assert "Usage: emomusic-edge" in told.out + told.err


# The one screen of an error


def error_classes() -> list[type[EmomusicError]]:
    return [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, EmomusicError)]


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize("error", error_classes())
def test_an_error_is_told_without_a_traceback(error: type[EmomusicError], capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("boom", "--kind", error.__name__) == error.exit_code
    told = capsys.readouterr()
    assert told.out == ""
    title, _, rest = told.err.partition(": ")
    assert title.lower().replace(" ", "") == error.__name__.lower()
    assert rest == "It is [red]broken[/red].\nmend: emomusic-edge mend it\n"


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize(
    "line",
    [
        ["--debug", "boom", "--kind", "ModelError"],
        ["boom", "--debug", "--kind", "ModelError"],
        ["boom", "--kind", "ModelError", "--debug"],
    ],
)
def test_debug_shows_the_traceback_wherever_it_stands(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(*line) == errors.ModelError.exit_code
    told = capsys.readouterr().err
    assert told.startswith("Traceback (most recent call last):")
    assert "made_up_commands.py" in told
    assert told.endswith("Model error: It is [red]broken[/red].\nmend: emomusic-edge mend it\n")


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize(
    ("kind", "exit_code", "told"),
    [
        ("os", SYSTEM_EXIT_CODE, "System error: [Errno 13] Permission denied: '/some/file'\n"),
        ("bug", BUG_EXIT_CODE, "A bug in emomusic-edge: ZeroDivisionError: division\nmend: Run it again with --debug"),
        ("silent-bug", BUG_EXIT_CODE, "A bug in emomusic-edge: AssertionError\n"),
        ("exit", 5, ""),
    ],
)
def test_other_ends(kind: str, exit_code: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("boom", "--kind", kind) == exit_code
    shown = capsys.readouterr().err
    assert shown.startswith(told)
    assert "Traceback" not in shown
    if not told:
        assert shown == ""


@pytest.mark.usefixtures("made_up")
def test_a_command_whose_module_is_missing_is_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("other") == BUG_EXIT_CODE
    assert "No module named 'no_such_module'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["cnofig"], "Did you mean 'config'?"),
        (["config", "show", "--jsno"], "--jsno"),
        (["config", "nothing"], "nothing"),
        (["--nothing"], "--nothing"),
    ],
)
def test_a_wrong_line_is_told_and_ends_with_the_usage_code(
    line: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(*line) == USAGE_EXIT_CODE
    assert told in capsys.readouterr().err


@pytest.mark.usefixtures("made_up")
def test_debug_after_two_dashes_is_a_plain_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("boom", "--", "--debug") == USAGE_EXIT_CODE
    assert "--debug" in capsys.readouterr().err


@pytest.mark.usefixtures("made_up")
def test_a_keyboard_interrupt_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("boom", "--kind", "interrupt") == INTERRUPTED_EXIT_CODE
    assert capsys.readouterr().err == ""


def test_ctrl_c_ends_a_process_quietly(runner: list[str]) -> None:
    with subprocess.Popen([*runner, "wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED_EXIT_CODE
    assert told == ""


@pytest.mark.parametrize("line", [["config", "example"], ["boom", "--kind", "none"], ["--version"]])
def test_a_reader_that_went_away_is_no_error(runner: list[str], line: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run([*runner, *line], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write)
    assert done.returncode == 1
    assert done.stderr == ""


def test_a_terminal_gets_a_panel(runner: list[str]) -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [*runner, "boom", "--kind", "ModelError"], stderr=theirs, stdout=subprocess.PIPE, check=False
        )
    finally:
        os.close(theirs)
    told = b""
    try:
        while chunk := os.read(ours, 4096):
            told += chunk
    except OSError:  # a pty ends with EIO
        pass
    finally:
        os.close(ours)
    assert done.returncode == errors.ModelError.exit_code
    text = re.sub(r"\x1b\[[0-9;]*m", "", told.decode())
    assert "╭─ Model error ─" in text
    assert "It is [red]broken[/red]." in text
    assert "mend: emomusic-edge mend it" in text
    assert len(text.splitlines()) < 24


# Exit codes


def test_the_documented_exit_codes_are_those_of_the_classes(repo: Path) -> None:
    rows = re.findall(r"^\| (\d+) \| (?:(\w+) )?\| (.+?) \|$", (repo / "docs" / "errors.md").read_text(), re.MULTILINE)
    documented = {name: (int(code), when) for code, name, when in rows if name}
    assert set(documented) == {error.__name__ for error in error_classes()}
    for error in error_classes():
        code, when = documented[error.__name__]
        assert code == error.exit_code
        if error is not EmomusicError:
            assert error.__doc__ is not None
            assert when == error.__doc__.splitlines()[0]
    codes = [int(code) for code, _, _ in rows]
    assert codes == sorted(set(codes)), "each code once, in order"
    ours = {0, USAGE_EXIT_CODE, BUG_EXIT_CODE, SYSTEM_EXIT_CODE, INTERRUPTED_EXIT_CODE}
    assert set(codes) == ours | {error.exit_code for error in error_classes()}


# emomusic-edge config


@pytest.fixture
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))


@pytest.mark.usefixtures("_own_home")
def test_config_show_tells_values_and_origins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[mqtt]\nusername = "anna"\npassword = "hunter2"\n')
    monkeypatch.setenv("EMOMUSIC_PLAYER__VOLUME", "0.3")
    line = ["config", "show", "--config", str(file), "--set", "music.dwell_s=6"]
    assert code_of(*line) == 0
    told = capsys.readouterr().out
    assert "hunter2" not in told
    assert f'username = "anna"  # from {file}, line 2\n' in told
    assert "volume = 0.3  # from EMOMUSIC_PLAYER__VOLUME\n" in told
    assert "dwell_s = 6.0  # from a flag\n" in told
    assert code_of(*line, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["settings"]["player"]["volume"] == 0.3
    assert document["origins"]["player.volume"] == "EMOMUSIC_PLAYER__VOLUME"
    assert document["file"] == str(file)


@pytest.mark.usefixtures("_own_home")
def test_config_show_of_a_wrong_file_is_one_screen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[mqtt]\nport = 'many'\n")
    assert code_of("config", "show", "--config", str(file)) == errors.ConfigError.exit_code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(
        f'Config error: mqtt.port: found "many", expected a whole number from 1 to 65535 (from {file}'
    )
    assert "mend: " in told.err
    assert code_of("config", "show", "--config", str(tmp_path / "none.toml")) == errors.ConfigError.exit_code


@pytest.mark.usefixtures("_own_home")
def test_config_example_and_path_make_a_file_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("config", "path") == 0
    file = Path(capsys.readouterr().out.strip())
    assert file.is_relative_to(tmp_path)
    assert code_of("config", "example") == 0
    file.parent.mkdir(parents=True)
    file.write_text(capsys.readouterr().out)
    assert code_of("config", "show") == 0
    assert capsys.readouterr().out.startswith(f"# read from {file}\n")


def test_config_reference_prints_the_page(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("config", "reference") == 0
    assert capsys.readouterr().out == (repo / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_every_config_command_of_the_docs_exists(repo: Path) -> None:
    from emomusic_edge.cli.config import app

    known = {c.callback.__name__ for c in app.registered_commands if c.callback}
    text = "".join((repo / name).read_text() for name in ("docs/configuration.md", "systemd/config.example.toml"))
    named = set(re.findall(r"emomusic-edge config (\w+)", text))
    assert named
    assert named <= known
    assert cli.PROGRAM in text
