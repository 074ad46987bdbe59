"""Makes the DEAM index: annotations -> windows -> MusicIndex."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.errors import IndexFileError, MissingExtraError

from .alignment import PEOPLE_KEY, people_reference
from .annotations import STEP_S, AnnotationSet, SongAnnotation
from .music_index import MusicIndex
from .windows import OVERLAP, WINDOW_S, windows_of

CITATION = (
    "Aljanaki A, Yang Y-H, Soleymani M (2017) Developing a benchmark for emotional analysis of music. "
    "PLoS ONE 12(3): e0173392"
)
LICENCE_NOTE = "DEAM is reported to be CC BY-NC; window means only, neither its annotations nor its audio"

# Of DEAM's own annotation files: other ratings in the same layout must not go under its name.
DEAM_SHA256 = {
    "arousal.csv": "5193982e625a23d975a18a11f516ea6b9658253d9689dfe4b7d50abc77244031",
    "valence.csv": "2bd84763e116b920376521374592ebc39eb2152e5138095b3dae751beb5f5b9e",
}

# One at every per cent; FindingEmo's seven ratings, which are looked up in them, are far coarser.
QUANTILES = 101

# The length of DEAM's excerpts, of which 1,744 of its 1,802 songs are.
EXCERPT_S = 45.0

# Rounding keeps the last bits of a long sum, which differ between processors, out of the file; in the windows' means
# float32 does the same.
_DECIMALS = 6


def build_index(annotations: AnnotationSet, *, sound_end_s: Mapping[int, float] | None = None) -> MusicIndex:
    """The index of all songs long enough for a window.

    A song that gives no window, but has a rating of the whole song, gets one window from its start to its end with
    that rating; the provenance lists these songs. Audio files are named as DEAM names them, `<song_id>.mp3`. The
    reference statistics are those of the dynamic annotations, not of the windows; of the song-level ratings where
    there is nothing else.

    Args:
        annotations: as `read_annotations` gives them.
        sound_end_s: where the sound of each song ends, by song id, if the audio was looked at. A song it does not
            name ends with its last annotation: at 45.0 s for DEAM's excerpts, which is also taken as the end of a
            song that has a song-level rating only.

    Raises:
        IndexFileError: no song is long enough.
    """
    ends = sound_end_s or {}
    parts = [_from_instants(song, ends.get(song.song_id)) for song in annotations.songs]
    parts = [part for part in parts if len(part.points)]
    there = {part.song_id for part in parts}
    whole = [
        _from_rating(song_id, rating, ends.get(song_id, EXCERPT_S))
        for song_id, rating in sorted(annotations.song_level.items())
        if song_id not in there
    ]
    parts = sorted([*parts, *whole], key=lambda part: part.song_id)
    if not parts:
        raise IndexFileError(f"no song is annotated for {WINDOW_S:g} s, the length of a window.")
    mean, sd, quantiles = reference_of(_reference_values(annotations))
    is_deam = annotations.sha256 == DEAM_SHA256
    return MusicIndex(
        name="deam" if is_deam else "ratings",
        points=np.concatenate([part.points for part in parts]).astype(np.float32),
        start_s=np.concatenate([part.start_s for part in parts]).astype(np.float32),
        end_s=np.concatenate([part.end_s for part in parts]).astype(np.float32),
        song=np.repeat(np.arange(len(parts)), [len(part.points) for part in parts]).astype(np.int32),
        song_ids=tuple(str(part.song_id) for part in parts),
        titles=tuple(
            annotations.titles.get(part.song_id) or f"{'DEAM' if is_deam else 'Song'} {part.song_id}" for part in parts
        ),
        files=tuple(audio_name(part.song_id) for part in parts),
        song_end_s=np.array([part.song_end_s for part in parts], np.float32),
        reference_mean=mean,
        reference_sd=sd,
        reference_quantiles=quantiles,
        provenance={
            "made_by": "emomusic-edge index build",
            PEOPLE_KEY: people_reference(),
            "scale": "as annotated, -1..1 per axis" if annotations.scale == "-1..1" else _rescaled(annotations.scale),
            "windows": f"{WINDOW_S:g} s, {OVERLAP:.0%} overlap, mean over the annotated instants",
            **({"citation": CITATION, "licence": LICENCE_NOTE} if is_deam else {}),
            "notes": "; ".join((*annotations.notes, *_whole_song_notes(whole))),
            **({"song_level": " ".join(str(part.song_id) for part in whole)} if whole else {}),
            **{f"sha256 {name}": digest for name, digest in annotations.sha256.items()},
            **({f"sha256 {name}": digest for name, digest in annotations.song_level_sha256.items()} if whole else {}),
        },
        window_s=WINDOW_S,
        hop_s=WINDOW_S * (1 - OVERLAP),
    )


def reference_of(
    values: NDArray[np.float64],
) -> tuple[ValenceArousal, ValenceArousal, NDArray[np.float32]]:
    """The reference statistics of values [n, 2]: mean, standard deviation, and `quantiles_of` [QUANTILES, 2]."""
    mean = values.mean(axis=0).round(_DECIMALS)
    sd = values.std(axis=0).round(_DECIMALS)
    return (
        ValenceArousal(float(mean[0]), float(mean[1])),
        ValenceArousal(float(sd[0]), float(sd[1])),
        np.column_stack([quantiles_of(values[:, axis]) for axis in range(2)]).astype(np.float32),
    )


def quantiles_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """QUANTILES evenly spaced quantiles, 0 to 1, of the values of an axis.

    Coarse ratings are spread between their neighbours. Plain quantiles of ratings on 1 to 9 are a staircase: nearly all
    that is felt would land on one of nine points, and a little more of it on the next. So where one value holds more
    than the share between two quantiles, each value stands at its mid-rank: the share below it and half its own, as
    people's ratings do (see alignment.py). DEAM's commonest value holds 0.2 %.
    """
    levels = np.linspace(0.0, 1.0, QUANTILES)
    distinct, counts = np.unique(values, return_counts=True)
    share = counts / len(values)
    if counts.max() == 1 or share.max() * (QUANTILES - 1) <= 1.0:
        return np.quantile(values, levels)
    return np.interp(levels, np.cumsum(share) - share / 2, distinct)


@dataclass(frozen=True, slots=True, eq=False)
class _Song:
    song_id: int
    points: NDArray[np.float64]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    song_end_s: float


def _from_instants(annotation: SongAnnotation, sound_end_s: float | None) -> _Song:
    end_s = _annotated_end_s(annotation) if sound_end_s is None else sound_end_s
    windows = windows_of(annotation)
    kept = windows.start_s < end_s
    return _Song(
        annotation.song_id,
        windows.points[kept],
        windows.start_s[kept],
        np.minimum(windows.end_s[kept], end_s),
        end_s,
    )


def _from_rating(song_id: int, rating: ValenceArousal, end_s: float) -> _Song:
    return _Song(song_id, np.array([rating]), np.zeros(1), np.array([end_s]), end_s)


def _whole_song_notes(whole: list[_Song]) -> tuple[str, ...]:
    if not whole:
        return ()
    told = "one window over the whole song, from its song-level rating (1..9, 5 taken as 0)"
    return (f"{told}: {len(whole)} songs, the first {whole[0].song_id}",)


def _rescaled(scale: str) -> str:
    return f"annotated on {scale}, mapped to -1..1"


def _reference_values(annotations: AnnotationSet) -> NDArray[np.float64]:
    if annotations.songs:
        values: NDArray[np.float64] = np.concatenate([annotation.values for annotation in annotations.songs])
        return np.compress(~np.isnan(values[:, 0]), values, axis=0)
    return np.array(list(annotations.song_level.values()), np.float64)


def audio_name(song_id: int | str) -> str:
    """How DEAM names a song's audio file."""
    return f"{song_id}.mp3"


@dataclass(frozen=True, slots=True)
class SoundEnds:
    """What was found in audio files.

    Attributes:
        end_s: where the sound ends, in seconds, by song.
        troubles: why a file that is there does not decode, by song.
    """

    end_s: Mapping[int, float]
    troubles: Mapping[int, str]


def measure_audio(
    folder: Path, song_ids: Sequence[int], progress: Callable[[int, int], None] | None = None
) -> SoundEnds:
    """Where the sound of each song ends, read from the audio files' own headers.

    Args:
        folder: the audio folder.
        song_ids: whose files to look for; songs without one that decodes are left out of the result.
        progress: called with songs done and in all.

    Raises:
        MissingExtraError: soundfile is not installed.
    """
    try:
        import soundfile
    except ImportError as cause:
        raise MissingExtraError(
            "Measuring audio needs the package soundfile, which is not installed.",
            mend="pip install 'emomusic-edge[library]'",
        ) from cause
    ends_s: dict[int, float] = {}
    troubles: dict[int, str] = {}
    for done, song_id in enumerate(song_ids, start=1):
        path = folder / audio_name(song_id)
        if progress is not None:
            progress(done, len(song_ids))
        if not path.is_file():
            continue
        try:
            ends_s[song_id] = float(soundfile.info(str(path)).duration)
        except (soundfile.SoundFileError, OSError, RuntimeError) as cause:
            troubles[song_id] = f"{path.name} does not decode: {str(cause).rpartition(': ')[2].rstrip('.')}"
    return SoundEnds(ends_s, troubles)


def _annotated_end_s(annotation: SongAnnotation) -> float:
    return annotation.first_s + len(annotation.values) * STEP_S
