"""`emomusic-edge index`: make a music index, and look into one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emomusic_edge.cli.run import CONFIG

if TYPE_CHECKING:
    from rich.table import Table

    from emomusic_edge.deam_index.music_index import MusicIndex

app = typer.Typer(
    no_args_is_help=True,
    help="Make a music index, and look into one.\n\nAn index says where in the valence-arousal plane each ten seconds "
    "of each song lie. It holds no sound: the audio stands in a folder of its own, named in the config.",
)


_LONGEST_SHOWN = 300


@app.command()
def build(
    deam: Annotated[
        Path,
        typer.Option(
            help="Folder with DEAM's dynamic annotations, averaged per song: `valence.csv` and `arousal.csv`.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Index file to write.", show_default=False)],
    audio: Annotated[
        Path | None,
        typer.Option(
            help="Folder with DEAM's audio (`2.mp3` …), to read where each song truly ends; without it a song ends "
            "with its last annotation.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make an index of DEAM from its annotation files.

    DEAM's download holds them under `annotations/annotations averaged per song/dynamic (per second annotations)/`.
    The bundled index was made so:

        emomusic-edge index build --deam DIR --out deam_index/data/deam_windows.npz
    """
    from rich.console import Console

    from emomusic_edge.deam_index.annotations import read_annotations
    from emomusic_edge.deam_index.build import build_index, measure_audio
    from emomusic_edge.deam_index.index_file import write_index
    from emomusic_edge.errors import IndexFileError

    console = Console()
    annotations = read_annotations(deam)
    for note in annotations.notes:
        console.print(f"Note: {note}.", highlight=False, markup=False)
    sound_end_s = None
    if audio is not None:
        sound_end_s = measure_audio(audio, [song.song_id for song in annotations.songs])
        if not sound_end_s:
            raise IndexFileError(
                f"{audio} holds none of the {len(annotations.songs)} songs' files (2.mp3 …).",
                mend="Name the folder that holds them with --audio, or leave --audio out.",
            )
        console.print(
            f"{len(sound_end_s)} of {len(annotations.songs)} songs have their audio in {audio}",
            highlight=False,
            markup=False,
        )
    index = build_index(annotations, sound_end_s=sound_end_s)
    write_index(out, index)
    console.print(f"{index.window_count} windows of {index.song_count} songs -> {out}", highlight=False, markup=False)


@app.command()
def info(
    file: Annotated[
        Path | None, typer.Argument(help="Index file; the bundled one if left out.", show_default=False)
    ] = None,
    audio: Annotated[
        Path | None, typer.Option(help="Audio folder, to count the songs that are there.", show_default=False)
    ] = None,
) -> None:
    """Show what an index holds: songs, windows, ranges, where they come from."""
    from rich.console import Console

    from emomusic_edge.deam_index.index_file import read_index
    from emomusic_edge.paths import packaged_deam_index

    path = file or packaged_deam_index()
    Console().print(_table(read_index(path), path, audio))


@app.command(name="starter-music")
def starter_music(
    config: Annotated[Path | None, CONFIG] = None,
    force: Annotated[bool, typer.Option("--force", help="Make it again although it is there.")] = False,
) -> None:
    """Compose and play the starter music into the data folder: 32 pieces and their index, about 21 MB.

    Takes a minute or so, once; needs the extra `starter`.
    """
    import shutil

    from rich.console import Console

    from emomusic_edge.cli.progress import make_starter_music
    from emomusic_edge.config import load_config
    from emomusic_edge.paths import DataLayout

    console = Console()
    folder = DataLayout(load_config(config).paths.data_dir).starter_music
    if force:
        shutil.rmtree(folder, ignore_errors=True)
    console.print(str(make_starter_music(folder, console)), highlight=False, markup=False, soft_wrap=True)


def _table(index: MusicIndex, path: Path, audio: Path | None) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(str(path)), show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("name", escape(index.name))
    table.add_row("songs", str(index.song_count))
    table.add_row("windows", str(index.window_count))
    lengths_s = index.end_s - index.start_s
    shortest_s, longest_s = lengths_s.min(), lengths_s.max()
    table.add_row("window", f"{longest_s:g} s" if shortest_s == longest_s else f"{shortest_s:.1f} to {longest_s:.1f} s")
    table.add_row("sound", f"{index.song_end_s.sum() / 3600:.1f} h")
    for axis, name in enumerate(("valence", "arousal")):
        values = index.points[:, axis]
        table.add_row(
            name,
            f"{values.min():+.3f} to {values.max():+.3f}; annotations: mean {index.reference_mean[axis]:+.3f}, "
            f"sd {index.reference_sd[axis]:.3f}",
        )
    if audio is not None:
        there = sum((audio / name).is_file() for name in index.files)
        table.add_row("audio", f"{there} of {index.song_count} songs in {escape(str(audio))}")
    for key, text in index.provenance.items():
        if text:
            # hashes by file, say: for programs, not for people
            table.add_row(escape(key), escape(text) if len(text) <= _LONGEST_SHOWN else f"{len(text)} characters")
    return table
