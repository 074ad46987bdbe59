"""`emomusic-edge fleet`: all devices on a broker; `fleet send`: one command for many of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from emomusic_edge.cli.run import CONFIG, SET

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from emomusic_edge.runtime.fleet.watch import FleetWatch
    from emomusic_edge.runtime.mqtt.broker import BrokerSettings

_DEFAULT_COMMAND = "watch"
# Each device tells everything at least every 10 s.
ONE_ROUND_S = 11.0
_REDRAWS_PER_S = 2

_HOST = typer.Option("--host", metavar="HOST", help="The broker; default: mqtt.host of the config.", show_default=False)
_PORT = typer.Option("--port", metavar="N", help="Its port.", show_default=False)
_USERNAME = typer.Option("--username", metavar="NAME", help="The account there.", show_default=False)
_PASSWORD_FILE = typer.Option(
    "--password-file", metavar="FILE", help="A file whose first line is its password.", show_default=False
)
_CA_FILE = typer.Option(
    "--ca-file", metavar="FILE", help="Certificates (PEM) to trust instead of the system's.", show_default=False
)
_JSON = typer.Option("--json", help="Print one JSON document.")
_ONCE = typer.Option("--once", help="Print the table once and end.")
_SECONDS = typer.Option(
    "--seconds",
    metavar="S",
    min=0.5,
    help=f"End after so long; with --json and --once wait at most so long (else {ONE_ROUND_S:g}).",
    show_default=False,
)
_MOODS = typer.Option("--moods", help="Show what tells of feelings too: the estimated mood of each room, and its song.")
_ALL = typer.Option("--all", help="All devices that are online.")
_NODES = typer.Option("--node", "-n", metavar="NODE", help="This device; may be repeated.", show_default=False)
_WAIT = typer.Option("--wait", metavar="S", min=0.5, max=60, help="How long to wait for the answers.")
_COMMAND = typer.Argument(
    metavar="COMMAND", help="As in docs/mqtt.md: pause, resume, skip, mode, …", show_default=False
)
_PAYLOAD = typer.Argument(metavar="[PAYLOAD]", help="What the command takes: `calm` for mode.", show_default=False)


# The options of the default command that its group's help would else not show; a test holds both together.
_HELP = """All devices on a broker: a live table, or one command for many.

`fleet` alone is `fleet watch`, and takes its options:

- --json: one JSON document instead of the table
- --once: the table once, then the end
- --seconds S: end after so long
- --moods: what tells of feelings too
- --host HOST, --port N: another broker than the config's
- --username NAME, --password-file FILE, --ca-file FILE: how to get in there
- --config FILE, --set KEY=VALUE: as with run

`fleet watch --help` says more of each.
"""


class _WatchByDefault(typer.core.TyperGroup):
    """`fleet --json` is `fleet watch --json`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command where none is named."""
        if not args or args[0] not in (*self.commands, "-h", "--help"):
            args = [_DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_WatchByDefault,
    no_args_is_help=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=_HELP,
)


@app.command(_DEFAULT_COMMAND)
def watch_command(
    as_json: Annotated[bool, _JSON] = False,
    once: Annotated[bool, _ONCE] = False,
    seconds: Annotated[float | None, _SECONDS] = None,
    moods: Annotated[bool, _MOODS] = False,
    host: Annotated[str | None, _HOST] = None,
    port: Annotated[int | None, _PORT] = None,
    username: Annotated[str | None, _USERNAME] = None,
    password_file: Annotated[Path | None, _PASSWORD_FILE] = None,
    ca_file: Annotated[Path | None, _CA_FILE] = None,
    config: Annotated[Path | None, CONFIG] = None,
    assignments: Annotated[list[str] | None, SET] = None,
) -> None:
    """Show every device on a broker: is it there, how is it. Runs on any machine.

    A live table until Ctrl-C; where the output is no terminal, the table once.
    Those in trouble stand first where not all fit.

        emomusic-edge fleet                                   the broker of the config
        emomusic-edge fleet --host broker.home --ca-file home-ca.pem
        emomusic-edge fleet --json
    """
    import json
    from datetime import datetime, timezone

    from rich.console import Console

    from emomusic_edge.runtime.fleet.document import fleet_document
    from emomusic_edge.runtime.fleet.table import fleet_view
    from emomusic_edge.runtime.fleet.watch import FleetWatch

    console = Console()
    settings = _broker(config, assignments, host, port, username, password_file, ca_file)
    with FleetWatch(settings) as watch:
        if not (as_json or once) and console.is_terminal:
            _live(watch, console, seconds, moods)
            return
        _wait_a_round(watch, ONE_ROUND_S if seconds is None else seconds)
        with watch.roster() as (roster, now_s):
            if as_json:
                at = datetime.now(timezone.utc)
                typer.echo(json.dumps(fleet_document(roster, now_s, at, where=watch.where, moods=moods), indent=1))
            else:
                width = console.width
                told = fleet_view(roster, now_s, where=watch.where, moods=moods, trouble=watch.trouble(), width=width)
                console.print(told)


@app.command("send")
def send_command(
    command: Annotated[str, _COMMAND],
    payload: Annotated[str, _PAYLOAD] = "",
    every: Annotated[bool, _ALL] = False,
    nodes: Annotated[list[str] | None, _NODES] = None,
    wait: Annotated[float, _WAIT] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    host: Annotated[str | None, _HOST] = None,
    port: Annotated[int | None, _PORT] = None,
    username: Annotated[str | None, _USERNAME] = None,
    password_file: Annotated[Path | None, _PASSWORD_FILE] = None,
    ca_file: Annotated[Path | None, _CA_FILE] = None,
    config: Annotated[Path | None, CONFIG] = None,
    assignments: Annotated[list[str] | None, SET] = None,
) -> None:
    """Send a command to many devices and tell what each answered.

    Exit code 1 when one refused or did not answer. A device that is offline is
    told as such; it counts as a failure only where --node names it.

        emomusic-edge fleet send --all pause
        emomusic-edge fleet send -n kitchen -n hall mode calm
        emomusic-edge fleet send --all mood '{"valence": 1.5}'
    """
    import json

    from rich.console import Console

    from emomusic_edge.errors import ConfigError
    from emomusic_edge.runtime.fleet.document import errand_document
    from emomusic_edge.runtime.fleet.table import errand_view
    from emomusic_edge.runtime.fleet.watch import FleetWatch
    from emomusic_edge.runtime.mqtt.commands import CommandError, parse_command

    names = list(dict.fromkeys(nodes or ()))
    if every == bool(names):
        raise ConfigError(
            "fleet send needs either --all or --node; " + ("both were" if every else "neither was") + " given.",
            mend="emomusic-edge fleet send --all pause, or: emomusic-edge fleet send --node kitchen pause",
        )
    try:
        parse_command(command, payload.encode())
    except CommandError as error:
        raise ConfigError(f"Nothing was sent: {error}.", mend="docs/mqtt.md lists what each command takes.") from error
    settings = _broker(config, assignments, host, port, username, password_file, ca_file)
    with FleetWatch(settings, readings=False) as watch:
        _wait_known(watch, names)
        outcomes = watch.ask(names, command, payload.encode(), wait).outcomes()
    if as_json:
        typer.echo(json.dumps(errand_document(command, outcomes), indent=1))
    elif outcomes:
        Console().print(errand_view(outcomes))
    else:
        typer.echo(f"No device is known on the broker {watch.where}.", err=True)
    passed = ("ok", "offline") if every else ("ok",)
    if not any(outcome.answer == "ok" for outcome in outcomes) or any(
        outcome.answer not in passed for outcome in outcomes
    ):
        raise typer.Exit(1)


def _broker(
    config: Path | None,
    assignments: list[str] | None,
    host: str | None,
    port: int | None,
    username: str | None,
    password_file: Path | None,
    ca_file: Path | None,
) -> BrokerSettings:
    """The broker of the config, with what the options say instead. From here on the log is silent.

    Raises:
        ConfigError: an option or a setting does not fit.
        BrokerError: the settings cannot work.
    """
    import logging

    from emomusic_edge.config import load_config, parse_assignments
    from emomusic_edge.runtime.mqtt.broker import BrokerSettings

    # What is wrong with the line stands below the table, or in the error; a log line would tear the table.
    logging.getLogger("emomusic_edge").addHandler(logging.NullHandler())

    given = {
        "mqtt.host": host,
        "mqtt.port": port,
        "mqtt.username": username,
        "mqtt.password_file": None if password_file is None else str(password_file),
        "mqtt.ca_file": None if ca_file is None else str(ca_file),
    }
    flags = {key: value for key, value in given.items() if value is not None}
    return BrokerSettings.of(load_config(config, {**parse_assignments(assignments or ()), **flags}).mqtt)


def _live(watch: FleetWatch, console: Console, seconds: float | None, moods: bool) -> None:
    import math

    from rich.live import Live

    from emomusic_edge.cli.session import stop_on_signals
    from emomusic_edge.runtime.fleet.table import fleet_view

    def picture() -> RenderableType:
        with watch.roster() as (roster, now_s):
            return fleet_view(
                roster,
                now_s,
                where=watch.where,
                moods=moods,
                trouble=watch.trouble(),
                width=console.width,
                height=console.height - 1,
            )

    with (
        stop_on_signals() as stop,
        Live(get_renderable=picture, console=console, refresh_per_second=_REDRAWS_PER_S, vertical_overflow="crop"),
    ):
        watch.wait(stop.is_set, math.inf if seconds is None else seconds)


def _wait_a_round(watch: FleetWatch, seconds: float) -> None:
    from rich.console import Console

    said = f"Listening on {watch.where}: each device tells everything within {ONE_ROUND_S - 1:g} s"
    with Console(stderr=True).status(said):
        watch.wait_complete(seconds)


def _wait_known(watch: FleetWatch, names: list[str]) -> None:
    # What the broker keeps comes at once; a broker without any device is asked no longer than this.
    if names:
        watch.wait_known(names, 2.0)
    else:
        watch.wait_settled(3.0)
