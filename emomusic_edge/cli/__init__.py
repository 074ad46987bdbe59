"""The command line: `emomusic-edge COMMAND`. Listing the commands imports none of them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer
import typer.main

from emomusic_edge import __version__
from emomusic_edge.cli.lazy import LazyCommand, lazy_group
from emomusic_edge.cli.output import INTERRUPTED_EXIT_CODE, report

PROGRAM = "emomusic-edge"

COMMANDS = {
    "run": LazyCommand("emomusic_edge.cli.run:run", "Watch, feel, play: the service loop on a camera or a file."),
    "demo": LazyCommand("emomusic_edge.cli.demo:demo", "See it work: run with the starter models, music and clip."),
    "config": LazyCommand("emomusic_edge.cli.config:app", "Show the settings, where they came from, and an example."),
    "service": LazyCommand("emomusic_edge.cli.service:app", "Leave it on: install, upgrade, status, logs."),
    "mqtt": LazyCommand("emomusic_edge.cli.mqtt:app", "Describe the MQTT topics, payloads and commands."),
    "index": LazyCommand("emomusic_edge.cli.index:app", "Build and inspect music indexes."),
    "export": LazyCommand("emomusic_edge.cli.export:app", "Turn models into bundles that the device runs."),
    "sign": LazyCommand("emomusic_edge.cli.sign:sign", "Sign bundles and indexes with a key of your own."),
    "fetch": LazyCommand("emomusic_edge.cli.fetch:fetch", "Fetch the starter weights and the demo clip, once."),
    "fleet": LazyCommand("emomusic_edge.cli.fleet:app", "All devices on a broker, and one command for many."),
    "doctor": LazyCommand("emomusic_edge.cli.doctor:doctor", "What works here, what does not, and what mends it."),
    "bench": LazyCommand("emomusic_edge.cli.bench:app", "Measure the latency of models and of a frame's whole way."),
    "calibrate": LazyCommand("emomusic_edge.cli.calibrate:calibrate", "Tell the device how your neutral face looks."),
    "forget": LazyCommand(
        "emomusic_edge.cli.forget:forget", "Wipe what likes, dislikes and skips taught, and the history."
    ),
    "simulate": LazyCommand("emomusic_edge.cli.simulate:simulate", "Hours of music in seconds: how well it fits."),
    "timeline": LazyCommand("emomusic_edge.cli.timeline:timeline", "Draw the affect and the songs of a recorded run."),
}

app = typer.Typer(
    cls=lazy_group(COMMANDS),
    no_args_is_help=True,
    # Importing rich is two thirds of the time that the list of commands takes; the commands' own help is rich.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: docs/errors.md. Settings: docs/configuration.md.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; works anywhere on the line.")
    ] = False,
) -> None:
    """A camera and a speaker: how people feel, and music that fits. On the device, offline.

    For wellbeing at home: no medical device, no judgement of anybody.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its exit code.

    Args:
        arguments: without the program's name; None takes those of the process.

    Raises:
        SystemExit: always.
    """
    line, debug = _take_debug(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            typer.main.get_command(app).main(args=line, prog_name=PROGRAM)
        finally:
            # Here, so that a reader who went away is noticed while somebody can still keep quiet about it.
            with contextlib.suppress(ValueError):
                sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_EXIT_CODE)
    except Exception as error:  # noqa: BLE001 (the last catch of all: every error becomes one screen)
        sys.exit(report(error, debug=debug))
    sys.exit(0)


def _take_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """The line without `--debug`, which may stand anywhere before a `--`, and whether it was there."""
    line = list(arguments)
    end = line.index("--") if "--" in line else len(line)
    kept = [word for word in line[:end] if word != "--debug"] + line[end:]
    return kept, len(kept) < len(line)
