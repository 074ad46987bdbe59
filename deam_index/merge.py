"""Makes one index of several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.errors import IndexFileError

from .alignment import PEOPLE_KEY, people_reference, ranks_of
from .audio_files import AudioRoots
from .build import QUANTILES
from .music_index import MusicIndex
from .roots_file import NAME

# Of a folder's name before its number: names have 64 letters at most.
_LONGEST_STEM = 56


@dataclass(frozen=True, slots=True)
class Part:
    """One of the indexes.

    Attributes:
        label: letters, digits, `-` and `_`; goes before what would collide.
        index: the index.
        roots: where its audio is.
    """

    label: str
    index: MusicIndex
    roots: AudioRoots


@dataclass(frozen=True, slots=True)
class Merged:
    """The one index, and the folders that its file names begin with the names of."""

    index: MusicIndex
    roots: dict[str, Path]


def merge(parts: Sequence[Part], *, name: str = "merged") -> Merged:
    """One index with the windows of all parts, in their order.

    The file `2.mp3` of the part `deam` becomes `deam/2.mp3`, and `deam` a named folder. A song id that stands in
    several parts gets the label before it (`deam:2`). The reference statistics are those of the parts pooled, each
    weighing as many as it has windows: mean and sd of the mixture, and the mixture's quantiles, each part's lying on
    straight lines between those that it stores.

    Raises:
        IndexFileError: fewer than two parts, or a label is none or stands there twice.
    """
    labels = [part.label for part in parts]
    for label in labels:
        if NAME.fullmatch(label) is None or labels.count(label) > 1:
            raise IndexFileError(
                f"{label!r} cannot name a part: letters, digits, - and _ were expected, and each name once.",
                mend="Give each index a name with --label.",
            )
    if len(parts) < 2:
        raise IndexFileError("there is one index: two or more were expected.", mend="Name further index files.")
    named: dict[str, Path] = {}
    files: list[str] = []
    for part in parts:
        files += _files(part, named)
    counts = Counter(song_id for part in parts for song_id in part.index.song_ids)
    mean, sd, quantiles = _pooled([part.index for part in parts])
    indexes = [part.index for part in parts]
    firsts = np.cumsum([0, *(index.song_count for index in indexes)])
    return Merged(
        MusicIndex(
            name=name,
            points=np.concatenate([index.points for index in indexes]),
            start_s=np.concatenate([index.start_s for index in indexes]),
            end_s=np.concatenate([index.end_s for index in indexes]),
            song=np.concatenate(
                [index.song + np.int32(first) for index, first in zip(indexes, firsts[:-1], strict=True)]
            ),
            song_ids=tuple(
                f"{part.label}:{song_id}" if counts[song_id] > 1 else song_id
                for part in parts
                for song_id in part.index.song_ids
            ),
            titles=tuple(title for index in indexes for title in index.titles),
            files=tuple(files),
            song_end_s=np.concatenate([index.song_end_s for index in indexes]),
            reference_mean=mean,
            reference_sd=sd,
            reference_quantiles=quantiles,
            provenance={
                "made_by": "emomusic-edge index merge",
                PEOPLE_KEY: people_reference(),
                "parts": "; ".join(
                    f"{part.label}: {part.index.name}, {part.index.window_count} windows, {part.index.song_count} songs"
                    for part in parts
                ),
                **{
                    f"{part.label}: {key}": text
                    for part in parts
                    for key, text in part.index.provenance.items()
                    if text
                },
            },
            window_s=_alike([index.window_s for index in indexes]),
            hop_s=_alike([index.hop_s for index in indexes]),
        ),
        named,
    )


def _files(part: Part, named: dict[str, Path]) -> list[str]:
    """The part's files under names of folders that are free, which are added to `named`."""
    names: dict[str, str] = {}
    for old, folder in part.roots.named.items():
        names[old] = _free(old, part.label, named)
        named[names[old]] = folder
    own = ""
    files = []
    for file in part.index.files:
        first, slash, rest = file.partition("/")
        if slash and first in names:
            files.append(f"{names[first]}/{rest}")
        else:
            if not own:
                own = _free(part.label, part.label, named)
                named[own] = part.roots.folder
            files.append(f"{own}/{file}")
    return files


def _free(wanted: str, label: str, taken: Mapping[str, Path]) -> str:
    """A name that no folder has yet: as wanted, else with the part's label before it, else with a number behind."""
    names = [wanted, *([f"{label}-{wanted}"] if wanted != label else [])]
    numbered = (f"{names[-1][:_LONGEST_STEM]}-{number}" for number in count(2))
    return next(name for name in chain(names, numbered) if name not in taken and NAME.fullmatch(name))


def _pooled(indexes: Sequence[MusicIndex]) -> tuple[ValenceArousal, ValenceArousal, NDArray[np.float32]]:
    weights = np.array([index.window_count for index in indexes], np.float64)
    weights /= weights.sum()
    means = np.array([index.reference_mean for index in indexes])
    sds = np.array([index.reference_sd for index in indexes])
    mean = weights @ means
    sd = np.sqrt(weights @ (sds**2 + means**2) - mean**2)
    quantiles = np.empty((QUANTILES, 2))
    for axis in range(2):
        curves = [index.reference_quantiles[:, axis].astype(np.float64) for index in indexes]
        values = np.unique(np.concatenate(curves))
        shares = sum(
            weight * np.interp(values, *ranks_of(curve), left=0.0, right=1.0)
            for weight, curve in zip(weights, curves, strict=True)
        )
        quantiles[:, axis] = np.interp(np.linspace(0.0, 1.0, QUANTILES), shares, values)
    quantiles = np.maximum.accumulate(np.clip(quantiles, -1, 1), axis=0)
    return (
        ValenceArousal(*(float(value) for value in mean)),
        ValenceArousal(*(float(value) for value in sd)),
        quantiles.astype(np.float32),
    )


def _alike(values: Sequence[float]) -> float:
    return values[0] if len(set(values)) == 1 else 0.0
