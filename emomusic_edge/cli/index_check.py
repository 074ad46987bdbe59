"""`emomusic-edge index verify`, `coverage` and `loudness`: look into an index, and into its audio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emomusic_edge.cli.index_common import Audio, File, bar, index_and_audio, loudness_place, say
from emomusic_edge.cli.run import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable

    from emomusic_edge.contracts import ValenceArousal
    from emomusic_edge.deam_index.music_index import MusicIndex

_MOST_SHOWN = 20


def verify(
    file: File = None,
    audio: Audio = None,
    deam: Annotated[
        Path | None,
        typer.Option(help="DEAM's annotations, to compare with the hashes in the index.", show_default=False),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="The table it was made from, to compare likewise.", show_default=False)
    ] = None,
    missing_ok: Annotated[
        bool, typer.Option("--missing-ok", help="Songs without audio are no trouble; they are never chosen.")
    ] = False,
    no_audio: Annotated[bool, typer.Option("--no-audio", help="Look at the index alone.")] = False,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Check an index and its audio: its rules, its reference statistics, its sources, and each file.

    Each audio file must be there, inside its folder, have a header that decodes, and be as long as the index says
    (less half a second). Ends with exit code 6 if anything is wrong.

        emomusic-edge index verify my-music.npz --audio ~/Music --csv ratings.csv
    """
    from rich.console import Console

    from emomusic_edge.deam_index.csv_rows import read_source
    from emomusic_edge.deam_index.deam_source import find_deam
    from emomusic_edge.deam_index.index_file import read_index
    from emomusic_edge.deam_index.verify import check_audio, check_people, check_sources
    from emomusic_edge.errors import IndexFileError

    console = Console()
    path, roots = index_and_audio(file, audio, config)
    index = read_index(path)
    say(console, f"{path}: keeps the rules; {index.window_count} windows of {index.song_count} songs")
    sources = []
    if deam is not None:
        found = find_deam(deam)
        used = {key.removeprefix("sha256 ") for key in index.provenance if key.startswith("sha256 ")}
        dynamic = [table for table in (found.valence, found.arousal) if table is not None]
        sources += [*dynamic, *(table for table in found.song_level if table.name in used)]
    if csv is not None:
        sources.append(read_source(csv, mend=""))
    problems = [*check_people(index), *check_sources(index, sources)]
    for source in sources:
        if source.shown not in {problem.what for problem in problems}:
            say(console, f"{source.shown}: the file that the index was made from")
    if not no_audio:
        with bar(console, "Looking at audio files") as progress:
            audio_problems = list(check_audio(index, roots, progress))
        missing = sum(problem.missing for problem in audio_problems)
        broken = len(audio_problems) - missing
        fit = index.song_count - len(audio_problems)
        say(console, f"audio: {fit} of {index.song_count} songs fit, {missing} missing, {broken} broken or too short")
        problems += [problem for problem in audio_problems if not (problem.missing and missing_ok)]
    for problem in problems[:_MOST_SHOWN]:
        say(console, f"  {problem.what}: {problem.told}")
    if len(problems) > _MOST_SHOWN:
        say(console, f"  and {len(problems) - _MOST_SHOWN} more")
    if problems:
        raise IndexFileError(
            f"{path}: {len(problems)} problems found.",
            mend="Put the files in place, name their folder with --audio, or build the index again.",
        )


def coverage(
    file: Annotated[
        Path | None, typer.Argument(help="Index file; the bundled one of DEAM if left out.", show_default=False)
    ] = None,
    queries: Annotated[int, typer.Option(min=100, max=1_000_000, help="How many queries.")] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw; the same seed gives the same table.")] = 0,
    noise: Annotated[float, typer.Option(min=0, max=3, help="Standard deviation added to each rating.")] = 0.3,
    dwell: Annotated[
        float,
        typer.Option(
            min=0,
            help="How many seconds a start must leave before the closing fade, as `run` asks with music.dwell_s; "
            "0 leaves these rows out.",
        ),
    ] = 25.0,
) -> None:
    """How much of the music is reached: replay queries of people, and see which songs answer.

    Queries are drawn from FindingEmo's annotations (package findingemo-light; without it from its counts per axis).
    Each mapping is tried without any memory, the nearest window of all, and with the rule of `run`, which remembers
    what was played: over all windows, and as `run` chooses, among starts that leave the dwell time. Every song counts
    as playable.

    mean distance: from where the query lands to the song. effective songs: exp of the entropy of the songs' shares.
    """
    from rich.console import Console
    from rich.table import Table

    from emomusic_edge.deam_index.alignment import Alignment, AlignmentMethod
    from emomusic_edge.deam_index.coverage import TOP, landed, replay
    from emomusic_edge.deam_index.index_file import read_index
    from emomusic_edge.deam_index.people_queries import draw_queries
    from emomusic_edge.deam_index.window_grid import WindowGrid
    from emomusic_edge.paths import packaged_deam_index

    console = Console()
    index = read_index(packaged_deam_index() if file is None else index_and_audio(file, None, None)[0])
    drawn = draw_queries(queries, seed=seed, noise_sd=noise)
    windows = WindowGrid(index.points)

    def nearest(target: ValenceArousal) -> int:
        return int(windows.nearest(target, 1)[1][0])

    table = Table(title=f"{queries:,} queries over {index.song_count:,} songs", title_justify="left")
    for name in ("mapping", "memory", "starts"):
        table.add_column(name)
    for name in ("mean distance", "effective songs", f"top {TOP}", "inside the hull"):
        table.add_column(name, justify="right")
    with bar(console, "Replaying", "queries") as progress:
        for method in AlignmentMethod:
            targets = landed(Alignment(index, method), drawn.points)
            rules = [("off", "any window", nearest), ("on", "any window", _with_memory(index, seed, 0.0))]
            if dwell > 0:
                rules.append(("on", f"{dwell:g} s left, as run", _with_memory(index, seed, dwell)))
            for memory, starts, choose in rules:
                found = replay(index, targets, choose, progress)
                table.add_row(
                    method.value,
                    memory,
                    starts,
                    f"{found.mean_distance:.4f}",
                    f"{found.effective_songs:.0f}",
                    f"{found.top_share:.1%}",
                    f"{found.inside_hull:.1%}",
                )
    console.print(table)
    say(console, f"Queries: {drawn.source}, noise sd {noise:g}, seed {seed}.")


def loudness(
    file: File = None,
    audio: Audio = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes; left out: one a core.", show_default=False)
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Forget what was measured before.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where to keep it; left out: beside the index.", show_default=False)
    ] = None,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Measure how loud each song is (EBU R128), so that none jumps out: once, before the music is used.

    `run` then plays each song with one gain, towards -18 LUFS and with no true peak above -1 dBTP. Stop it when you
    like: it goes on where it was. A file that changes is measured again the next time.
    """
    from rich.console import Console

    from emomusic_edge.deam_index.index_file import read_index
    from emomusic_edge.deam_index.loudness_file import song_gains_db
    from emomusic_edge.deam_index.loudness_run import measure_loudness

    console = Console()
    path, roots = index_and_audio(file, audio, config)
    place = out or loudness_place(file, path, config)
    index = read_index(path)
    with bar(console, "Measuring") as progress:
        run = measure_loudness(index, roots, place, workers=workers, again=again, progress=progress)
    say(
        console,
        f"{run.measured} files measured, {run.known} known before, {run.missing} missing, "
        f"{len(run.troubles)} that do not decode -> {place}",
    )
    for name, trouble in list(run.troubles.items())[:_MOST_SHOWN]:
        say(console, f"  {name}: {trouble}")
    gains = song_gains_db(index, place, roots)
    say(
        console,
        f"gains from {gains.min():+.1f} to {gains.max():+.1f} dB, median {float(sorted(gains)[len(gains) // 2]):+.1f}",
    )


def _with_memory(index: MusicIndex, seed: int, dwell_s: float) -> Callable[[ValenceArousal], int | None]:
    """The rule of the program where nothing is set but the dwell time, told of each song that it chose."""
    from dataclasses import replace

    import numpy as np

    from emomusic_edge.config.settings import Settings
    from emomusic_edge.runtime.app.sound import choice_rule
    from emomusic_edge.runtime.choice.rule import SongChoice

    rule = replace(choice_rule(Settings()), dwell_s=dwell_s)
    choice = SongChoice(index, np.ones(index.song_count, np.bool_), rule, seed=seed)
    playing: int | None = None

    def choose(target: ValenceArousal) -> int | None:
        nonlocal playing
        row = choice.choose(target, playing=playing)
        if row is not None:
            playing = int(index.song[row])
            choice.played(playing)
        return row

    return choose
