"""Makes the DEAM index: annotations -> windows -> MusicIndex."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.errors import IndexFileError, MissingExtraError

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

# Rounding keeps the last bits of a long sum, which differ between processors, out of the file; in the windows' means
# float32 does the same.
_DECIMALS = 6


def build_index(annotations: AnnotationSet, *, sound_end_s: Mapping[int, float] | None = None) -> MusicIndex:
    """The index of all songs long enough for a window.

    Audio files are named as DEAM names them, `<song_id>.mp3`. The reference statistics are those of the annotations,
    not of the windows.

    Args:
        annotations: as `read_annotations` gives them.
        sound_end_s: where the sound of each song ends, by song id, if the audio was looked at. A song it does not
            name ends with its last annotation: at 45.0 s for DEAM's excerpts.

    Raises:
        IndexFileError: no song is long enough.
    """
    points, start_s, end_s, song = [], [], [], []
    songs: list[str] = []
    song_end_s: list[float] = []
    for annotation in annotations.songs:
        end = (sound_end_s or {}).get(annotation.song_id, _annotated_end_s(annotation))
        windows = windows_of(annotation)
        kept = windows.start_s < end
        if not kept.any():
            continue
        points.append(windows.points[kept])
        start_s.append(windows.start_s[kept])
        end_s.append(np.minimum(windows.end_s[kept], end))
        song.append(np.full(int(kept.sum()), len(songs)))
        songs.append(str(annotation.song_id))
        song_end_s.append(end)
    if not songs:
        raise IndexFileError(f"no song is annotated for {WINDOW_S:g} s, the length of a window.")
    reference = np.concatenate([annotation.values for annotation in annotations.songs])
    reference = reference[~np.isnan(reference[:, 0])]
    mean = reference.mean(axis=0).round(_DECIMALS)
    sd = reference.std(axis=0).round(_DECIMALS)
    is_deam = annotations.sha256 == DEAM_SHA256
    return MusicIndex(
        name="deam" if is_deam else "ratings",
        points=np.concatenate(points).astype(np.float32),
        start_s=np.concatenate(start_s).astype(np.float32),
        end_s=np.concatenate(end_s).astype(np.float32),
        song=np.concatenate(song).astype(np.int32),
        song_ids=tuple(songs),
        titles=tuple(f"{'DEAM' if is_deam else 'Song'} {song_id}" for song_id in songs),
        files=tuple(audio_name(song_id) for song_id in songs),
        song_end_s=np.array(song_end_s, np.float32),
        reference_mean=ValenceArousal(float(mean[0]), float(mean[1])),
        reference_sd=ValenceArousal(float(sd[0]), float(sd[1])),
        reference_quantiles=np.quantile(reference, np.linspace(0.0, 1.0, QUANTILES), axis=0).astype(np.float32),
        provenance={
            "made_by": "emomusic-edge index build",
            "windows": f"{WINDOW_S:g} s, {OVERLAP:.0%} overlap, mean over the annotated instants",
            **({"citation": CITATION, "licence": LICENCE_NOTE} if is_deam else {}),
            "notes": "; ".join(annotations.notes),
            **{f"sha256 {name}": digest for name, digest in annotations.sha256.items()},
        },
    )


def audio_name(song_id: int | str) -> str:
    """How DEAM names a song's audio file."""
    return f"{song_id}.mp3"


def measure_audio(folder: Path, song_ids: Iterable[int]) -> dict[int, float]:
    """Where the sound of each song ends, in seconds, read from the audio files' own headers.

    Args:
        folder: the audio folder.
        song_ids: whose files to look for; songs without one are left out of the result.

    Raises:
        MissingExtraError: soundfile is not installed.
        IndexFileError: a file is no audio file.
    """
    try:
        import soundfile
    except ImportError as cause:
        raise MissingExtraError(
            "Measuring audio needs the package soundfile, which is not installed.",
            mend="pip install 'emomusic-edge[starter]'",
        ) from cause
    ends_s = {}
    for song_id in song_ids:
        path = folder / audio_name(song_id)
        if not path.is_file():
            continue
        try:
            ends_s[song_id] = float(soundfile.info(str(path)).duration)
        except (soundfile.SoundFileError, OSError) as cause:
            raise IndexFileError(
                f"{path} is not a readable audio file: {cause}.", mend="Remove or replace it."
            ) from cause
    return ends_s


def _annotated_end_s(annotation: SongAnnotation) -> float:
    return annotation.first_s + len(annotation.values) * STEP_S
