"""`emomusic-edge service do`: any command of this program as the service."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

# What follows belongs to the command that is done.
PASSES_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}


def do(context: typer.Context) -> None:
    """Do a command as the service: with its user, its settings, its folders and the broker's password.

    sudo /opt/emomusic-edge/venv/bin/emomusic-edge service do doctor

    sudo /opt/emomusic-edge/venv/bin/emomusic-edge service do forget --yes
    """
    from emomusic_edge.installation import ServiceError, look, run_as_service, system_places

    if not context.args:
        raise typer.BadParameter("found no command, expected one, for example: doctor.")
    if os.geteuid() != 0:
        raise ServiceError(
            "Only root may become the service's user.", mend=f"sudo {own_program()} service do {' '.join(context.args)}"
        )
    places = system_places()
    found = look(places)
    if not found.record.venv:
        raise ServiceError("The service is not installed.", mend=f"sudo {own_program()} service install")
    raise typer.Exit(run_as_service(places, Path(found.record.venv), context.args))


def own_program() -> str:
    """How to call this program from any folder, as it was called now."""
    program = Path(sys.argv[0])
    return str(program.absolute()) if program.name == "emomusic-edge" else f"{sys.executable} -m emomusic_edge"
