"""Reads DEAM's song-level ratings: one valence and one arousal for a whole song, on a scale of 1 to 9.

`static_annotations_averaged_songs_1_2000.csv` and `…_2000_2058.csv`: headers with spaces before the names, five and
thirteen columns, of which `song_id`, `valence_mean` and `arousal_mean` count. The middle, 5, becomes 0; 1 and 9 become
-1 and 1, as on the scale of the dynamic annotations.
"""

from __future__ import annotations

from collections.abc import Iterable

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.errors import IndexFileError

from .csv_rows import SourceFile, number_in, rows_of, song_number
from .deam_source import MEND

LOW, HIGH = 1.0, 9.0
COLUMNS = ("song_id", "valence_mean", "arousal_mean")


def read_song_level(files: Iterable[SourceFile]) -> dict[int, ValenceArousal]:
    """Valence and arousal in -1..1 by song.

    Raises:
        IndexFileError: a column is missing, a cell is no number in 1..9, or a song stands there twice, in one file or
            in two; file, row and column are named.
    """
    ratings: dict[int, ValenceArousal] = {}
    first_places: dict[int, str] = {}
    for file in files:
        rows = rows_of(file, mend=MEND)
        header = [name.strip() for name in next(rows, (1, []))[1]]
        for name in COLUMNS:
            if header.count(name) != 1:
                told = "missing" if name not in header else "there more than once"
                raise IndexFileError(f"{file.shown} row 1: column {name} is {told}.", mend=MEND)
        places = [header.index(name) for name in COLUMNS]
        for line, cells in rows:
            if len(cells) != len(header):
                raise IndexFileError(
                    f"{file.shown} row {line} has {len(cells)} cells for {len(header)} columns.", mend=MEND
                )
            song_id = song_number(file, line, cells[places[0]], mend=MEND)
            if song_id in ratings:
                raise IndexFileError(
                    f"{file.shown} row {line}, column song_id: song {song_id} stands there twice, first in "
                    f"{first_places[song_id]}.",
                    mend=MEND,
                )
            first_places[song_id] = f"{file.name} row {line}"
            valence, arousal = (
                _to_deam(number_in(file, line, name, cells[place], LOW, HIGH, mend=MEND))
                for name, place in zip(COLUMNS[1:], places[1:], strict=True)
            )
            ratings[song_id] = ValenceArousal(valence, arousal)
    return ratings


def _to_deam(rating: float) -> float:
    return (rating - (LOW + HIGH) / 2) / ((HIGH - LOW) / 2)
