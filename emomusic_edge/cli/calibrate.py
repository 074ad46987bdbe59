"""`emomusic-edge calibrate`: one neutral minute, and the zero is yours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emomusic_edge.cli.run import CONFIG, FAST, SET, SOURCE

if TYPE_CHECKING:
    from rich.console import Console

    from emomusic_edge.config import Settings
    from emomusic_edge.runtime.calibration import NeutralMinute

# How long a camera may take to give its first picture, before a run without any is given up.
_GRACE_S = 15.0
_NEXT_START = "What runs already keeps to what it read: this applies from the next start."


def calibrate(
    source: Annotated[str | None, SOURCE] = None,
    seconds: Annotated[float, typer.Option(min=5, max=600, help="How long to record.", metavar="S")] = 60.0,
    person: Annotated[
        str | None,
        typer.Option(help="Whose face it is; default: music.person of the config.", metavar="NAME", show_default=False),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show what is stored, and record nothing.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Delete what is stored, and record nothing.")] = False,
    fast: Annotated[bool, FAST] = False,
    config: Annotated[Path | None, CONFIG] = None,
    assignments: Annotated[list[str] | None, SET] = None,
) -> None:
    """Record a neutral minute, and shift the zero to it.

    Faces differ: one looks stern at rest, another smiles. Sit before the camera with a resting face for a minute. The
    mean of what was surely seen becomes your neutral; the difference to FindingEmo's neutral (valence 0, arousal 2), at
    most 1 on each axis, is added before music is sought, from the next start on. What is told as your feeling stays as
    estimated. Only frames with a face count, but their feeling is that of face and room together: sit where you will
    listen.

    Stored are a few numbers in the data folder, and the hashes of the models, no picture. With other models it is not
    applied. One file a person; `music.person` says whose is applied.
    The system service has a data folder of its own: docs/music.md says how to reach it.

        emomusic-edge calibrate
        emomusic-edge calibrate --show
        emomusic-edge calibrate --delete
    """
    from rich.console import Console

    from emomusic_edge.config import load_config, parse_assignments
    from emomusic_edge.errors import ConfigError
    from emomusic_edge.paths import DataLayout
    from emomusic_edge.runtime.calibration import delete_calibration, read_calibration, write_calibration

    flags: dict[str, object] = {"player.muted": True, "mqtt.enabled": False, "mode.mode": "off"}
    flags |= {"camera.source": source} if source is not None else {}
    flags |= {"music.person": person} if person is not None else {}
    settings = load_config(config, {**parse_assignments(assignments or ()), **flags})
    name = settings.music.person
    path = DataLayout(settings.paths.data_dir).calibration(name)
    if show and delete:
        raise ConfigError("--show and --delete are two things.", mend="Give one of them.")
    if delete:
        there = delete_calibration(path)
        typer.echo(f"Deleted {path}. {_NEXT_START}" if there else f"There is no calibration of {name} ({path}).")
        return
    if show:
        stored = read_calibration(path)
        typer.echo(f"{stored} ({path})" if stored is not None else f"There is no calibration of {name} ({path}).")
        return
    console = Console()
    minute = record(settings, seconds, console, fast=fast)
    calibration = minute.calibration(name)
    write_calibration(path, calibration)
    told = f"{calibration}; {calibration.sure_frames} frames\n-> {path}\n{_NEXT_START}"
    console.print(told, highlight=False, markup=False, soft_wrap=True)
    if calibration.bounded:
        console.print(
            "Far from neutral: was the face at rest, and well lit? To delete it: emomusic-edge calibrate --delete",
            highlight=False,
            markup=False,
        )


def record(settings: Settings, seconds: float, console: Console, *, fast: bool) -> NeutralMinute:
    """Run the real loop, muted and in mode off, for so long, and take what it told.

    Raises:
        EmomusicError: the source, a model or the index cannot work.
    """
    import threading

    from emomusic_edge.cli.session import stop_on_signals
    from emomusic_edge.contracts import StateSnapshot
    from emomusic_edge.runtime.app import App, RunPlan
    from emomusic_edge.runtime.calibration import NeutralMinute

    started_s: list[float] = []
    with stop_on_signals() as stop:
        app = App(settings, RunPlan(fast=fast, stop=stop))
        minute = NeutralMinute(app.models.hashes)

        def watch(snapshot: StateSnapshot) -> None:
            if snapshot.new_frame:
                started_s[:] = started_s or [snapshot.t_s]
                minute.add(snapshot)
            if started_s and snapshot.t_s - started_s[0] >= seconds:
                stop.set()

        app.observe(watch)
        console.print(
            f"{app.source_name}: {seconds:g} s with a resting face, from now on. Ctrl-C ends it early.",
            highlight=False,
            markup=False,
        )
        # a camera that gives no picture would never end it
        end = threading.Timer(seconds + _GRACE_S, stop.set)
        end.daemon = True
        end.start()
        try:
            app.run()
        finally:
            end.cancel()
    if app.broke_off is not None:
        raise app.broke_off
    return minute
