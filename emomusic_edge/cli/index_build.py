"""`emomusic-edge index build` and `index merge`: make a music index."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emomusic_edge.cli.index_common import bar, say

if TYPE_CHECKING:
    from rich.console import Console


def build(
    out: Annotated[Path, typer.Option(help="Index file to write.", show_default=False)],
    deam: Annotated[
        Path | None,
        typer.Option(
            help="DEAM as you downloaded it: the annotation archive (.zip), the folder it unpacks to, or any folder of "
            "it down to the one with `valence.csv` and `arousal.csv`.",
            show_default=False,
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            help="A table of your own library: path, valence, arousal; start, end, title, artist if you have them.",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        str,
        typer.Option(
            help="The lowest and highest rating, `1..9` for both axes or `-3..3,0..6` for valence and arousal. Needed "
            "with --csv; with --deam only where the dynamic files are neither in -1..1 nor surely in -10..10.",
            show_default=False,
        ),
    ] = "",
    audio: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the audio. DEAM's (`2.mp3` …): to read where each song truly ends; without it a song "
            "ends with its last annotation. With --csv: what paths start from; the table's folder if left out.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="With --csv: what to call the index.")] = "library",
) -> None:
    """Make an index of DEAM, or of your own library, from ratings.

    DEAM: its download holds them under `annotations/annotations averaged per song/dynamic (per second annotations)/`;
    a .zip need not be unpacked. Songs without dynamic annotations get their song-level rating, and artists and titles
    are taken from `metadata_2013.csv` and its like, where these are found. The bundled index was made so:

        emomusic-edge index build --deam DIR --out deam_index/data/deam_windows.npz

    Your own library: a row a stretch of sound, or a whole song where start and end are empty.

        emomusic-edge index build --csv ratings.csv --scale 1..9 --audio ~/Music --out my-music.npz
    """
    from rich.console import Console

    console = Console()
    if (deam is None) == (csv is None):
        raise typer.BadParameter("name either DEAM's folder with --deam or a table with --csv", param_hint="--deam")
    if csv is not None:
        if not scale:
            raise typer.BadParameter("what are the ratings on? --scale 1..9, say", param_hint="--scale")
        _from_csv(console, csv, scale, audio or csv.parent, name, out)
    elif deam is not None:
        _from_deam(console, deam, scale, audio, out)


def merge(
    files: Annotated[list[Path], typer.Argument(help="Two or more index files.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Index file to write.", show_default=False)],
    audio: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder with the audio, once for each index and in their order; left out: beside each index.",
            show_default=False,
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Short name of each index, in their order; left out: the names of the files.", show_default=False
        ),
    ] = None,
) -> None:
    """Make one index of several, each with its audio in a folder of its own.

        emomusic-edge index merge deam.npz mine.npz --audio ~/Music/deam --audio ~/Music --out all.npz

    Beside `all.npz` stands `all.audio.toml` then, which says where the audio of each part is; edit it when a folder
    moves. Nothing else needs to be set but `[music] index`.
    """
    from rich.console import Console

    from emomusic_edge.deam_index.audio_files import AudioRoots, playable_files
    from emomusic_edge.deam_index.index_file import read_index, write_index
    from emomusic_edge.deam_index.merge import Part
    from emomusic_edge.deam_index.merge import merge as merge_parts
    from emomusic_edge.deam_index.roots_file import read_roots, write_roots

    console = Console()
    for given, option in ((audio, "--audio"), (label, "--label")):
        if given and len(given) != len(files):
            raise typer.BadParameter(f"{len(given)} given for {len(files)} indexes", param_hint=option)
    parts = [
        Part(
            (label or [])[place] if label else file.stem,
            read_index(file),
            AudioRoots(audio[place] if audio else file.parent, read_roots(file)),
        )
        for place, file in enumerate(files)
    ]
    merged = merge_parts(parts, name=out.stem)
    write_index(out, merged.index)
    roots_file = write_roots(out, merged.roots)
    index = merged.index
    there = int(playable_files(index, AudioRoots(out.parent, merged.roots)).sum())
    say(console, f"{index.window_count} windows of {index.song_count} songs -> {out}")
    say(console, f"{there} of {index.song_count} songs have their audio; its folders -> {roots_file}")
    say(console, f"emomusic-edge run --set music.index={out.absolute()}")


def _from_deam(console: Console, deam: Path, scale: str, audio: Path | None, out: Path) -> None:
    from emomusic_edge.deam_index.annotations import read_annotations
    from emomusic_edge.deam_index.build import build_index, measure_audio
    from emomusic_edge.deam_index.index_file import write_index
    from emomusic_edge.deam_index.scale import parse_scale
    from emomusic_edge.errors import IndexFileError

    annotations = read_annotations(deam, parse_scale(scale) if scale else None)
    ends = None
    if audio is not None:
        wanted = sorted({song.song_id for song in annotations.songs} | annotations.song_level.keys())
        with bar(console, "Looking where songs end") as progress:
            ends = measure_audio(audio, wanted, progress)
        if not ends.end_s:
            raise IndexFileError(
                f"{audio} holds none of the {len(wanted)} songs' files (2.mp3 …).",
                mend="Name the folder that holds them with --audio, or leave --audio out.",
            )
        if ends.troubles:
            told = next(iter(ends.troubles.values()))
            say(console, f"Note: {len(ends.troubles)} files count as missing (the first: {told}).")
        say(console, f"{len(ends.end_s)} of {len(wanted)} songs have their audio in {audio}")
    index = build_index(annotations, sound_end_s=None if ends is None else ends.end_s)
    for note in filter(None, index.provenance["notes"].split("; ")):
        say(console, f"Note: {note}.")
    write_index(out, index)
    say(console, f"{index.window_count} windows of {index.song_count} songs -> {out}")


def _from_csv(console: Console, csv: Path, scale: str, audio: Path, name: str, out: Path) -> None:
    from emomusic_edge.deam_index.audio_files import AudioRoots
    from emomusic_edge.deam_index.csv_rows import read_source
    from emomusic_edge.deam_index.index_file import write_index
    from emomusic_edge.deam_index.library import build_library
    from emomusic_edge.deam_index.library_csv import MEND, read_library
    from emomusic_edge.deam_index.scale import parse_scale

    rating_scale = parse_scale(scale)
    source = read_source(csv, mend=MEND)
    stretches = read_library(source, rating_scale, audio)
    with bar(console, "Reading tags") as progress:
        built = build_library(source, stretches, rating_scale, AudioRoots(audio), name=name, progress=progress)
    for note in built.notes:
        say(console, f"Note: {note}.")
    write_index(out, built.index)
    say(console, f"{built.index.window_count} windows of {built.index.song_count} songs -> {out}")
    settings = (f"music.index={out.absolute()}", f"music.audio_dir={audio.absolute()}")
    say(console, shlex.join(["emomusic-edge", "run", *(word for one in settings for word in ("--set", one))]))
