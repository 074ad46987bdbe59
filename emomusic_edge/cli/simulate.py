"""`emomusic-edge simulate`: hours of music in seconds, without camera or sound, in figures."""

from __future__ import annotations

import enum
import json
import math
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emomusic_edge.cli.run import CONFIG, SET
from emomusic_edge.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from emomusic_edge.config import Settings
    from emomusic_edge.deam_index.music_index import MusicIndex
    from emomusic_edge.runtime.simulation.drive import Played
    from emomusic_edge.runtime.simulation.figures import Figures
    from emomusic_edge.runtime.simulation.series import AffectSeries


class KindOfSeries(str, enum.Enum):
    """The made-up series."""

    STEPS = "steps"
    WALK = "walk"
    DAY = "day"


class Rules(str, enum.Enum):
    """Whose rules are driven."""

    BOTH = "both"
    OURS = "ours"
    SEED = "seed"


def simulate(
    record: Annotated[
        Path | None,
        typer.Option(help="Take the affect from this CSV file of `run --record`.", metavar="FILE", show_default=False),
    ] = None,
    kind: Annotated[KindOfSeries, typer.Option(help="Else make up a series of this kind.")] = KindOfSeries.STEPS,
    hours: Annotated[float, typer.Option(min=0.01, max=1000, help="How long the made-up series is.")] = 8.0,
    step: Annotated[float, typer.Option(min=0.02, max=10, help="Seconds from one frame of it to the next.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal series.")] = 0,
    rules: Annotated[Rules, typer.Option(help="Whose rules choose the music.")] = Rules.BOTH,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    plots: Annotated[
        Path | None,
        typer.Option(help="Draw the pictures into this folder (needs matplotlib).", metavar="DIR", show_default=False),
    ] = None,
    config: Annotated[Path | None, CONFIG] = None,
    assignments: Annotated[list[str] | None, SET] = None,
) -> None:
    """Drive the music's logic over a series of affect, thousands of times faster than real time, and tell how it did.

    The real stabilizer, modes, choice and player run, without a device; every song of the index counts as there, so
    that no audio is needed. What you liked has no say. Beside ours stand the rules that the project began with, on the
    same series.

    steps: one feeling for two to ten minutes, then another. walk: a feeling that wanders. day: calm, livelier, calm,
    with episodes, and nobody there for a fifth of the time.

        emomusic-edge simulate --set music.index=deam
        emomusic-edge simulate --kind day --hours 24 --set music.index=deam --plots out
        emomusic-edge simulate --record run.csv --rules ours --json
    """
    from rich.console import Console

    from emomusic_edge.config import load_config, parse_assignments
    from emomusic_edge.deam_index.index_file import read_index
    from emomusic_edge.runtime.locate import index_file
    from emomusic_edge.runtime.simulation.series import from_record, made_up

    settings = load_config(config, parse_assignments(assignments or ()))
    series = made_up(kind.value, hours=hours, step_s=step, seed=seed) if record is None else from_record(record)
    if len(series.t_s) < 2 or series.hours <= 0:
        raise ConfigError("the series has less than two frames.", mend="Make it longer with --hours.")
    index = read_index(index_file(settings))
    played: dict[str, Played] = {}
    speeds: dict[str, float] = {}
    # ours always runs: where nobody knows how the person felt, its steadied value is what both are measured by
    for name in ("ours", "seed"):
        played[name], took_s = drive(name, series, settings, index)
        speeds[name] = series.hours * 3600 / max(took_s, 1e-9)
        if rules is Rules.OURS:
            break
    told = {
        name: figures_of(name, series, played, settings, index) for name in played if rules in (Rules.BOTH, Rules(name))
    }
    if as_json:
        document = {"series": series.name, "index": index.name, "rules": {}}
        document["rules"] = {
            name: _without_nan(asdict(figures)) | {"times_real_time": round(speeds[name])}
            for name, figures in told.items()
        }
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        Console().print(_table(series.name, index.name, told, speeds))
    if plots is not None:
        from emomusic_edge.cli.simulate_plots import draw

        shown = {name: played[name] for name in told}
        for file in draw(series, index, shown, settings.music.alignment, plots):
            typer.echo(f"Wrote {file}.", err=as_json)


def drive(name: str, series: AffectSeries, settings: Settings, index: MusicIndex) -> tuple[Played, float]:
    """What `ours` or the `seed` plays for a series, and the seconds that it took."""
    from emomusic_edge.runtime.app import music_of, stabilizer_of
    from emomusic_edge.runtime.audio.player import MusicPlayer
    from emomusic_edge.runtime.simulation.drive import drive_ours, drive_seed

    player = MusicPlayer(None, crossfade_s=settings.player.crossfade_s)
    music = music_of(settings, index, player, without_audio=True)
    stabilizer = stabilizer_of(settings)
    started_s = time.perf_counter()
    played = drive_seed(series, index) if name == "seed" else drive_ours(series, stabilizer, music)
    return played, time.perf_counter() - started_s


def figures_of(
    name: str, series: AffectSeries, played: dict[str, Played], settings: Settings, index: MusicIndex
) -> Figures:
    """The figures of one of the rules."""
    from emomusic_edge.deam_index.alignment import Alignment, AlignmentMethod
    from emomusic_edge.runtime.simulation.figures import figures

    own = AlignmentMethod.LINEAR if name == "seed" else AlignmentMethod(settings.music.alignment)
    feeling = played["ours"].stable if series.truth is None else series.truth
    return figures(
        series,
        # the seed's rules know no modes: they are held against what ours sought
        replace(played[name], sought=played["ours"].sought),
        feeling,
        Alignment(index, own).to_music,
        Alignment(index, AlignmentMethod.STANDARDISE).to_music,
    )


ROWS: tuple[tuple[str, str, str], ...] = (
    ("distance, person to song (own mapping)", "distance", "{:.3f}"),
    ("10 % of the time below", "distance_p10", "{:.3f}"),
    ("half of the time", "distance_p50", "{:.3f}"),
    ("90 % of the time", "distance_p90", "{:.3f}"),
    ("distance, person to song (standardise)", "distance_standardised", "{:.3f}"),
    ("distance, what the mode seeks to song", "goal_distance", "{:.3f}"),
    ("10 % of the time below", "goal_distance_p10", "{:.3f}"),
    ("half of the time", "goal_distance_p50", "{:.3f}"),
    ("90 % of the time", "goal_distance_p90", "{:.3f}"),
    ("changes of song, an hour", "switches_per_hour", "{:.1f}"),
    ("a song sounds: median, s", "dwell_median_s", "{:.1f}"),
    ("one in ten less than", "dwell_p10_s", "{:.1f}"),
    ("one in ten more than", "dwell_p90_s", "{:.1f}"),
    ("shortest, s", "dwell_shortest_s", "{:.1f}"),
    ("longest, s", "dwell_longest_s", "{:.1f}"),
    ("different songs", "songs", "{}"),
    ("effective songs", "effective_songs", "{:.0f}"),
    ("share of the 20 most played", "top_share", "{:.1%}"),
    ("songs until one repeats: median", "repeat_median_songs", "{:.0f}"),
    ("least", "repeat_least_songs", "{}"),
    ("minutes until one repeats: median", "repeat_median_min", "{:.0f}"),
    ("silent, of the time", "silent_share", "{:.1%}"),
)


def _table(series: str, index: str, told: dict[str, Figures], speeds: dict[str, float]) -> Table:
    from rich.table import Table

    table = Table(title=f"{series}, music of index {index}", title_justify="left")
    table.add_column("")
    for name in told:
        table.add_column(name, justify="right")
    for label, member, form in ROWS:
        values = [getattr(figures, member) for figures in told.values()]
        table.add_row(label, *("–" if value is None or value != value else form.format(value) for value in values))
    table.add_row("times as fast as real time", *(f"{speeds[name]:,.0f}" for name in told))
    return table


def _without_nan(values: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}
