"""`emomusic-edge run`: the service loop on a camera or a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SOURCE = typer.Option(
    "--source",
    "-s",
    metavar="WHERE",
    help="Camera index (0), device path, /dev/v4l/by-id name, video file, or folder of pictures; "
    "default: camera.source of the config, `auto`.",
    show_default=False,
)
CONFIG = typer.Option("--config", "-c", metavar="FILE", help="The configuration file; without it, the user's own.")
SET = typer.Option("--set", metavar="KEY=VALUE", help="Set any setting for this run; may be repeated.")
MUTED = typer.Option("--muted", help="Choose and tell songs, but make no sound.")
DWELL = typer.Option("--dwell", metavar="S", help="A song plays for at least this many seconds.", show_default=False)
MAX_FRAMES = typer.Option("--max-frames", metavar="N", min=1, help="Stop after this many frames.", show_default=False)
NO_MQTT = typer.Option("--no-mqtt", help="Do not connect to a broker.")
SUMMARY = typer.Option("--summary", metavar="FILE", help="Write the run's summary as JSON.")
RECORD = typer.Option("--record", metavar="FILE", help="Write a CSV row for each frame; `timeline` draws it.")
PICTURE = typer.Option("--picture", metavar="FILE", help="Write the last live view as an SVG picture.")
FAST = typer.Option("--fast", help="Read a file as fast as possible; time comes from its frames, without sound.")
LOOP = typer.Option("--loop", help="Read a file over and over, until Ctrl-C or --max-frames.")


def run(
    source: Annotated[str | None, SOURCE] = None,
    config: Annotated[Path | None, CONFIG] = None,
    assignments: Annotated[list[str] | None, SET] = None,
    muted: Annotated[bool, MUTED] = False,
    dwell: Annotated[float | None, DWELL] = None,
    max_frames: Annotated[int | None, MAX_FRAMES] = None,
    no_mqtt: Annotated[bool, NO_MQTT] = False,
    summary: Annotated[Path | None, SUMMARY] = None,
    record: Annotated[Path | None, RECORD] = None,
    picture: Annotated[Path | None, PICTURE] = None,
    fast: Annotated[bool, FAST] = False,
    loop: Annotated[bool, LOOP] = False,
) -> None:
    """Watch a camera or a file, estimate valence and arousal, play the music that fits, and tell the smart home.

    Goes on until the file ends, or until Ctrl-C. Nothing it sees leaves the machine or is written to disk; --record
    and --summary hold numbers only.

        emomusic-edge run                                  the first camera
        emomusic-edge run --source clip.mp4 --record run.csv
        emomusic-edge run --source clip.mp4 --fast --no-mqtt --summary run.json
    """
    from rich.console import Console

    from emomusic_edge.cli.session import SessionPlan, run_session
    from emomusic_edge.config import load_config, parse_assignments

    flags = overrides(source=source, muted=muted, dwell=dwell, no_mqtt=no_mqtt)
    settings = load_config(config, {**parse_assignments(assignments or ()), **flags})
    plan = SessionPlan(fast=fast, max_frames=max_frames, summary=summary, record=record, picture=picture, loop=loop)
    run_session(settings, plan, Console())


def overrides(*, source: str | None, muted: bool, dwell: float | None, no_mqtt: bool) -> dict[str, object]:
    """The settings that the flags stand for; one that was not given is left to the other layers."""
    given = {
        "camera.source": source,
        "music.dwell_s": dwell,
        "player.muted": muted or None,
        "mqtt.enabled": False if no_mqtt else None,
    }
    return {key: value for key, value in given.items() if value is not None}
