"""`emomusic-edge index`: make a music index, and look into one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emomusic_edge.cli import index_build, index_check, index_plot
from emomusic_edge.cli.index_common import Audio, File, index_and_audio
from emomusic_edge.cli.run import CONFIG

if TYPE_CHECKING:
    from rich.table import Table

    from emomusic_edge.deam_index.audio_files import AudioRoots
    from emomusic_edge.deam_index.music_index import MusicIndex

app = typer.Typer(
    no_args_is_help=True,
    help="Make a music index, and look into one.\n\nAn index says where in the valence-arousal plane each ten seconds "
    "of each song lie. It holds no sound: the audio stands in a folder of its own, named in the config.",
)


_LONGEST_SHOWN = 300


app.command()(index_build.build)
app.command()(index_build.merge)
app.command()(index_check.verify)
app.command()(index_check.coverage)
app.command()(index_check.loudness)
app.command()(index_plot.plot)


@app.command()
def info(file: File = None, audio: Audio = None, config: Annotated[Path | None, CONFIG] = None) -> None:
    """Show what an index holds: songs, windows, ranges, where they come from, how many songs have their audio."""
    from rich.console import Console

    from emomusic_edge.deam_index.audio_files import playable_files
    from emomusic_edge.deam_index.index_file import read_index

    path, roots = index_and_audio(file, audio, config)
    index = read_index(path)
    Console().print(_table(index, path, roots, int(playable_files(index, roots).sum())))


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


def _table(index: MusicIndex, path: Path, roots: AudioRoots, playable: int) -> Table:
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
    if index.hop_s:
        table.add_row("step", f"{index.hop_s:g} s")
    table.add_row("sound", f"{index.song_end_s.sum() / 3600:.1f} h")
    for axis, name in enumerate(("valence", "arousal")):
        values = index.points[:, axis]
        table.add_row(
            name,
            f"{values.min():+.3f} to {values.max():+.3f}; annotations: mean {index.reference_mean[axis]:+.3f}, "
            f"sd {index.reference_sd[axis]:.3f}",
        )
    folders = ", ".join(map(str, (roots.folder, *roots.named.values())))
    table.add_row("audio", f"{playable} of {index.song_count} songs in {escape(folders)}")
    for key, text in index.provenance.items():
        if text:
            # hashes by file, say: for programs, not for people
            table.add_row(escape(key), escape(text) if len(text) <= _LONGEST_SHOWN else f"{len(text)} characters")
    return table
