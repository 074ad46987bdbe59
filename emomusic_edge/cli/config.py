"""`emomusic-edge config`: the effective settings, a documented example, the reference page, the file's place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emomusic_edge.config import load_with_origins, parse_assignments
from emomusic_edge.config import show as written
from emomusic_edge.paths import default_config_file

app = typer.Typer(help="Show the settings, where they came from, and an example.", no_args_is_help=True)


@app.command()
def show(
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="The configuration file; without it, the user's own."),
    ] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Try a setting out; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json/--toml", help="As JSON, or as TOML.")] = False,
) -> None:
    """Print the settings in effect and where each that was set came from; secrets are masked."""
    loaded = load_with_origins(config, parse_assignments(assignments or ()))
    typer.echo(written.to_json(loaded) if as_json else written.to_toml(loaded), nl=False)


@app.command()
def example() -> None:
    """Print a documented configuration file to start from."""
    typer.echo(written.example_toml(), nl=False)


@app.command()
def reference() -> None:
    """Print the reference page of all settings (docs/configuration.md)."""
    typer.echo(written.reference_markdown(), nl=False)


@app.command()
def path() -> None:
    """Print where the configuration file is looked for; it need not exist."""
    typer.echo(default_config_file())
