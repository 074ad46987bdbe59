"""Makes the index of anyone's rated library: rows of a CSV file, and the audio files they name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from emomusic_edge.affect import DEAM
from emomusic_edge.errors import IndexFileError

from .alignment import PEOPLE_KEY, people_reference
from .audio_files import AudioRoots
from .build import reference_of
from .csv_rows import SourceFile
from .deam_titles import shown_title
from .library_csv import RatedStretch
from .music_index import MusicIndex
from .scale import RatingScale
from .tags import Tags, read_tags, require_mutagen

# Of fewer songs the spread says nothing, and standardise would blow it up to people's: DEAM's statistics stand in.
_LEAST_SONGS = 20

# A row may end this much after its file: tables round, and decoders pad.
_SLACK_S = 1.0


@dataclass(frozen=True, slots=True)
class _Unfit:
    """A song whose file is there and cannot be played as rated."""

    row: RatedStretch
    told: str


@dataclass(frozen=True, slots=True)
class BuiltLibrary:
    """An index and what a person should know of how it came about."""

    index: MusicIndex
    notes: tuple[str, ...]


def build_library(
    file: SourceFile,
    stretches: Sequence[RatedStretch],
    scale: RatingScale,
    roots: AudioRoots,
    *,
    name: str = "library",
    progress: Callable[[int, int], None] | None = None,
) -> BuiltLibrary:
    """The index of some rated stretches; the rows of one path, wherever they stand, are windows of one song.

    Rows may overlap. A row without start and end becomes one window over the whole song. Titles and artists come from
    the table, else from the file's tags, else from its name. A song whose file is missing is kept if all its rows
    have an end (it is never chosen until the file is there), and left out if not. A song whose file the player does
    not decode, or ends before one of its rows, is left out.

    Args:
        file: the CSV file that the rows come from, for messages.
        stretches: as `read_library` gives them.
        scale: for the provenance.
        roots: where the audio is.
        name: of the index.
        progress: called with songs done and in all.

    Raises:
        MissingExtraError: mutagen is not installed.
        IndexFileError: no file is there and of use.
    """
    require_mutagen()
    songs: dict[str, list[RatedStretch]] = {}
    for stretch in stretches:
        songs.setdefault(stretch.path, []).append(stretch)
    kept: list[tuple[str, list[RatedStretch], str, float]] = []
    missing: list[RatedStretch] = []
    unfit: list[_Unfit] = []
    left_out = 0
    for done, (path, rows) in enumerate(songs.items(), start=1):
        found = roots.path_of(path)
        if progress is not None:
            progress(done, len(songs))
        tags = None
        if found is None:
            missing.append(rows[0])
            if any(row.end_s is None for row in rows):
                left_out += 1
                continue
        else:
            try:
                tags = read_tags(found)
            except IndexFileError as cause:
                unfit.append(_Unfit(rows[0], str(cause)))
                continue
            if (trouble := _beyond(rows, tags)) is not None:
                unfit.append(trouble)
                continue
        kept.append((path, rows, _title(path, rows, tags), _end_s(rows, tags)))
    if len(missing) + len(unfit) == len(songs):
        raise _nothing_there(file, songs, missing, unfit, roots)
    notes = _missing_notes(missing, left_out, roots) + _unfit_notes(unfit)
    flat = [
        (row.valence, row.arousal, row.start_s, min(end_s, row.end_s if row.end_s is not None else end_s), song)
        for song, (_, rows, _, end_s) in enumerate(kept)
        for row in sorted(rows, key=lambda row: row.start_s)
    ]
    table = np.array(flat, np.float64)
    points = table[:, :2]
    if len(kept) < _LEAST_SONGS or not (points.std(axis=0) > 0).all():
        notes += (f"fewer than {_LEAST_SONGS} songs, or all rated alike: DEAM's mean and sd stand in for alignment",)
        spread = np.linspace(-1.7, 1.7, 101)[:, None]
        quantiles = np.clip(np.array(DEAM.mean) + spread * np.array(DEAM.sd), -1, 1).astype(np.float32)
        mean, sd = DEAM.mean, DEAM.sd
    else:
        mean, sd, quantiles = reference_of(points)
    lengths_s = np.unique((table[:, 3] - table[:, 2]).round(2))
    index = MusicIndex(
        name=name,
        points=points.astype(np.float32),
        start_s=table[:, 2].astype(np.float32),
        end_s=table[:, 3].astype(np.float32),
        song=table[:, 4].astype(np.int32),
        song_ids=tuple(path for path, *_ in kept),
        titles=tuple(title for _, _, title, _ in kept),
        files=tuple(path for path, *_ in kept),
        song_end_s=np.array([end_s for *_, end_s in kept], np.float32),
        reference_mean=mean,
        reference_sd=sd,
        reference_quantiles=quantiles,
        provenance={
            "made_by": "emomusic-edge index build --csv",
            PEOPLE_KEY: people_reference(),
            "scale": f"rated on {scale}, mapped to -1..1",
            "windows": "as rated; a row without start and end is one window over the whole song",
            "notes": "; ".join(notes),
            f"sha256 {file.name}": file.sha256,
        },
        window_s=float(lengths_s[0]) if len(lengths_s) == 1 else 0.0,
    )
    return BuiltLibrary(index, notes)


def _title(path: str, rows: list[RatedStretch], tags: Tags | None) -> str:
    title = next((row.title for row in rows if row.title), "") or (tags.title if tags else "")
    artist = next((row.artist for row in rows if row.artist), "") or (tags.artist if tags else "")
    return shown_title(artist, title or path.rpartition("/")[2].rpartition(".")[0] or path)


def _end_s(rows: list[RatedStretch], tags: Tags | None) -> float:
    return tags.length_s if tags is not None else max(row.end_s or 0.0 for row in rows)


def _beyond(rows: list[RatedStretch], tags: Tags) -> _Unfit | None:
    for row in rows:
        if row.start_s >= tags.length_s or (row.end_s or 0.0) > tags.length_s + _SLACK_S:
            column, second = ("start", row.start_s) if row.start_s >= tags.length_s else ("end", row.end_s)
            return _Unfit(row, f"column {column} is {second:g} s; {row.path} has {tags.length_s:.1f} s")
    return None


def _nothing_there(
    file: SourceFile,
    songs: dict[str, list[RatedStretch]],
    missing: list[RatedStretch],
    unfit: list[_Unfit],
    roots: AudioRoots,
) -> IndexFileError:
    if not unfit:
        return IndexFileError(
            f"none of the {len(songs)} files that {file.shown} names is in {roots.folder} "
            f"(row {missing[0].line}: {missing[0].path}).",
            mend="Name the folder that the paths start from with --audio.",
        )
    return IndexFileError(
        f"none of the {len(songs)} files that {file.shown} names is of use: {len(missing)} are not in {roots.folder}, "
        f"{len(unfit)} do not decode or end before their rows (row {unfit[0].row.line}: {unfit[0].told}).",
        mend="Put files in place that are FLAC, MP3, Ogg, WAV or AIFF and as long as the rows say.",
    )


def _missing_notes(missing: list[RatedStretch], left_out: int, roots: AudioRoots) -> tuple[str, ...]:
    if not missing:
        return ()
    first = f"the first, of row {missing[0].line}: {missing[0].path}"
    note = f"{len(missing)} files are not in {roots.folder} or lead out of it ({first})"
    return (note + (f"; {left_out} of these songs, rated as a whole, are left out" if left_out else ""),)


def _unfit_notes(unfit: list[_Unfit]) -> tuple[str, ...]:
    if not unfit:
        return ()
    kinds = Counter(PurePosixPath(one.row.path).suffix.casefold() or "no suffix" for one in unfit)
    counted = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    return (
        f"{len(unfit)} files ({counted}) do not decode or end before their rows, and these songs are left out "
        f"(the first, row {unfit[0].row.line}: {unfit[0].told})",
    )
