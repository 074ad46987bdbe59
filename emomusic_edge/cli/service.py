"""`emomusic-edge service`: leave it on. Install, upgrade, take away, and see how the service is."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from emomusic_edge.cli.service_do import PASSES_ON, do, own_program

if TYPE_CHECKING:
    from emomusic_edge.installation import Found, Places

app = typer.Typer(
    no_args_is_help=True,
    help="Leave it on: a service of systemd, started at boot and started again when it fails. See docs/service.md.",
)

USER = typer.Option("--user", help="A service of the user who types this (PipeWire, PulseAudio), without root.")
DRY_RUN = typer.Option("--dry-run", help="Print every file and command, and change nothing.")
ROOT = typer.Option("--root", metavar="DIR", help="The system below this folder (an image), not the running one.")
Root = Annotated[Path | None, ROOT]


@app.command()
def install(
    user: Annotated[bool, USER] = False,
    dry_run: Annotated[bool, DRY_RUN] = False,
    venv: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Use this Python environment as it is; without it one is made below /opt."),
    ] = None,
    python: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The Python that makes the environment; default: the one here.")
    ] = None,
    wheels: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Install from this folder of wheels, without the network.")
    ] = None,
    jetson: Annotated[
        bool | None, typer.Option("--jetson/--no-jetson", help="Let it open Tegra's GPU devices; default: on a Jetson.")
    ] = None,
    private_network: Annotated[
        bool | None,
        typer.Option("--private-network/--no-private-network", help="No network at all: the broker on a unix socket."),
    ] = None,
    starter: Annotated[
        bool, typer.Option("--starter/--no-starter", help="Make the starter models and music if they are missing.")
    ] = True,
    start: Annotated[bool, typer.Option("--start/--no-start", help="Start it now, or start it anew.")] = True,
    read: Annotated[
        bool, typer.Option("--i-have-read-the-privacy-page", help="For scripts: answer what the first install asks.")
    ] = False,
    root: Root = None,
) -> None:
    """Install the service, or upgrade it in place; the same line again is harmless.

    The settings in /etc/emomusic-edge/config.toml are yours: an upgrade leaves them and puts a new example beside
    them. Other files that you changed are kept as a copy (.saved) before they are written. The first time it asks
    whether you know what the camera does and where its use is against the law.

        sudo .venv/bin/emomusic-edge service install --dry-run

        sudo .venv/bin/emomusic-edge service install
    """
    from emomusic_edge import __version__
    from emomusic_edge.installation import ACKNOWLEDGEMENT_VERSION, Wish, carry_out, install_plan, look, source_of
    from emomusic_edge.installation.plan import environment_of

    places = _places(user=user, root=root)
    if venv is not None:
        venv = venv.absolute()
    before = look(places, root=root, venv=venv)
    if user and venv is None and not before.record.venv:
        venv = Path(sys.prefix)
    maker = (python or _python()).absolute()
    found = look(places, root=root, venv=venv, python=maker)
    wish = Wish(
        version=__version__,
        acknowledged=ACKNOWLEDGEMENT_VERSION,
        venv=venv,
        python=maker,
        # What runs from there is there.
        source=None if Path(sys.prefix) == places.environment else source_of(wheels.resolve() if wheels else None),
        jetson=jetson,
        private_network=private_network,
        starter=starter,
        start=start,
        root=root,
    )
    steps = install_plan(wish, found, places)
    if dry_run:
        if found.record.acknowledged != ACKNOWLEDGEMENT_VERSION:
            typer.echo("ask      whether you know what the camera does, and where its use is against the law")
        for step in steps:
            typer.echo(str(step))
        return
    _need_rights(places, root)
    _acknowledge(found, read=read)
    carry_out(steps, typer.echo, root=root)
    program = environment_of(venv, found.record, places) / "bin" / "emomusic-edge"
    _tell_the_rest(places, found, root, program, started=start)


@app.command()
def uninstall(
    user: Annotated[bool, USER] = False,
    dry_run: Annotated[bool, DRY_RUN] = False,
    purge: Annotated[bool, typer.Option("--purge", help="Remove settings, models, music and likes too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --purge.")] = False,
    root: Root = None,
) -> None:
    """Stop the service and take it away; settings, models, music and likes stay unless --purge is given.

    sudo /opt/emomusic-edge/venv/bin/emomusic-edge service uninstall --dry-run
    """
    from emomusic_edge.installation import carry_out, look, uninstall_plan

    places = _places(user=user, root=root)
    steps = uninstall_plan(look(places, root=root), places, purge=purge, root=root)
    if dry_run:
        for step in steps:
            typer.echo(str(step))
        return
    _need_rights(places, root)
    if purge and not yes and not typer.confirm(f"Remove {places.config}, {places.state} and {places.cache} for good?"):
        raise typer.Exit(1)
    carry_out(steps, typer.echo, root=root)


@app.command()
def status(
    user: Annotated[bool, USER] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What systemd tells, as JSON.")] = False,
) -> None:
    """Tell whether the service runs, since when, and if not, why and what to do. Ends with 0 only when it runs."""
    from emomusic_edge.installation import UNIT
    from emomusic_edge.installation.service_state import PROPERTIES, parse_last_result, parse_properties

    _need_systemd(user)
    line = ["systemctl", *(["--user"] if user else []), "show", UNIT, "--property", ",".join(PROPERTIES)]
    told = subprocess.run(line, capture_output=True, text=True, check=False)
    if told.returncode:
        _fail(f"{shlex.join(line)} failed: {told.stderr.strip()}", "systemctl status emomusic-edge")
    # The result of the run before: systemctl show has that of the present one alone. Not with --lines=1, of which an
    # older journalctl (247, seen) takes the last line first and then looks whether it fits.
    failed = ("--boot", "--grep=Failed with result", "--output=cat")
    last = parse_last_result(_journal(user, *failed))
    state = parse_properties(told.stdout, user=user, program=own_program(), last_result=last)
    if as_json:
        typer.echo(json.dumps(dict(state.properties), indent=2))
    else:
        for name, value in state.lines():
            typer.echo(f"{name:<9} {value}")
    if not state.running:
        raise typer.Exit(1)


@app.command()
def logs(
    user: Annotated[bool, USER] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as new lines come, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="So many of the last lines.")] = 50,
) -> None:
    """Show what the service wrote to the journal. Root may read it, and who is in the group adm or systemd-journal."""
    _need_systemd(user)
    if not _journal(user, "--lines=1"):
        typer.echo("The journal shows nothing of it to this user.", err=True)
        if not user and os.geteuid() != 0:
            mend = f"sudo {own_program()} service logs  (or: sudo usermod -aG adm $USER, then log in anew)"
            typer.echo(f"  mend: {mend}", err=True)
    line = [*_journal_line(user), "--output=short-iso", f"--lines={lines}", *(["--follow"] if follow else [])]
    raise typer.Exit(subprocess.run(line, check=False).returncode)


app.command(context_settings=PASSES_ON)(do)


def _journal_line(user: bool) -> list[str]:
    from emomusic_edge.installation import UNIT

    return ["journalctl", "--no-pager", "--quiet", "--user-unit" if user else "--unit", UNIT]


def _journal(user: bool, *options: str) -> str:
    """What the journal tells of the service to this user; nothing where it is not to be read."""
    try:
        told = subprocess.run([*_journal_line(user), *options], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return told.stdout


def _places(*, user: bool, root: Path | None) -> Places:
    from platformdirs import user_cache_path, user_config_path, user_data_path

    from emomusic_edge.installation import system_places, user_places

    if not user:
        return system_places()
    if root is not None:
        _fail("--user and --root do not go together.", "Leave out one of them.")
    try:
        return user_places(user_config_path(), user_data_path(), user_cache_path())
    except RuntimeError as cause:
        _fail(f"This user's own folders are not known: {cause}.", "Set HOME to this user's home folder.")


def _python() -> Path:
    """The Python behind this environment where a service sees it and root alone can change it, else the system's."""
    from emomusic_edge.installation.ownership import changeable

    own = Path(sys.executable).resolve()
    seen = not any(own.is_relative_to(folder) for folder in ("/home", "/root", "/run/user"))
    return (
        own
        if seen and not changeable(own)
        else Path(shutil.which("python3", path="/usr/bin:/usr/local/bin") or "/usr/bin/python3")
    )


def _need_rights(places: Places, root: Path | None) -> None:
    if places.user or root is not None or os.geteuid() == 0:
        return
    _fail(
        "Only root may install or remove a service of the system.",
        f"sudo {own_program()} {shlex.join(sys.argv[1:])}  (or --dry-run to see what it would do)",
    )


def _acknowledge(found: Found, *, read: bool) -> None:
    from emomusic_edge.installation import ACKNOWLEDGEMENT, ACKNOWLEDGEMENT_VERSION

    if read or found.record.acknowledged == ACKNOWLEDGEMENT_VERSION:
        return
    typer.echo(ACKNOWLEDGEMENT)
    if not sys.stdin.isatty():
        _fail(
            "Nobody is here to answer, and nothing was installed.",
            "Read the above, then the same line with --i-have-read-the-privacy-page.",
        )
    if not typer.confirm("\nI have read this, and use it for none of that. Go on?"):
        raise typer.Exit(1)


def _need_systemd(user: bool) -> None:
    if not Path("/run/systemd/system").is_dir() or shutil.which("systemctl") is None:
        _fail(
            "systemd does not run this machine, so there is no service to ask (in a container that is usual).",
            "Run it in the foreground: emomusic-edge run",
        )
    if user and not os.environ.get("XDG_RUNTIME_DIR"):
        _fail("XDG_RUNTIME_DIR is not set, so your own systemd is not found.", "Log in as that user; sudo does not do.")


def _tell_the_rest(places: Places, found: Found, root: Path | None, program: Path, *, started: bool) -> None:
    flag = " --user" if places.user else ""
    typer.echo("")
    if not found.booted and root is None:
        typer.echo("systemd does not run here: installed, not started. It starts at the next boot with systemd.")
    elif started and root is None:
        typer.echo(f"It runs. How it is: {program} service status{flag}")
    typer.echo(
        f"Settings: {places.settings}; after a change: {'' if flag else 'sudo '}systemctl{flag} restart emomusic-edge"
    )
    if places.user:
        typer.echo("To have it run while you are not logged in: sudo loginctl enable-linger $USER")


def _fail(message: str, mend: str) -> NoReturn:
    from emomusic_edge.installation import ServiceError

    raise ServiceError(message, mend=mend)
