"""The starter music as files: made once into a folder, found again by version and checksum."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from statistics import NormalDist

import numpy as np

from emomusic_edge.affect import DEAM
from emomusic_edge.artefacts import folder_written_whole, sha256_of
from emomusic_edge.deam_index.alignment import PEOPLE_KEY, people_reference
from emomusic_edge.deam_index.index_file import MusicIndex, read_index, write_index
from emomusic_edge.errors import AudioError, IndexFileError
from emomusic_edge.paths import STARTER_INDEX_NAME

from .audio_file import require, write_ogg
from .composition import compose
from .mastering import master
from .plan import PIECE_S, PIECES, Piece
from .rendering import render
from .struck_tones import SAMPLE_RATE_HZ

STARTER_VERSION = 1
"""Goes up with every change that can be heard; folders of another version are made anew."""


WINDOW_S = 10.0
STEP_S = 5.0

# What a worker process takes at its peak is about 330 MB (measured): no more of them than a small board can hold.
_MOST_WORKERS = 4
_QUANTILES = 101


def ensure_starter_music(folder: Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """Make the starter music into a folder, unless it is there, whole and of this version.

    The folder is replaced in one step: whoever reads it sees the old one or the new one, never a half-made one.

    Args:
        folder: owned by this function; what else lies in it is lost when it is made anew.
        progress: called as progress(done, total) from the calling thread, first with 0 done; not called when the
            music is already there.

    Returns:
        The index file inside the folder.

    Raises:
        MissingExtraError: soundfile or pyloudnorm is not installed (only when there is something to make).
        AudioError: a file cannot be written.
    """
    index_path = folder / STARTER_INDEX_NAME
    if is_whole(folder):
        return index_path
    require()
    try:
        with folder_written_whole(folder) as scratch:
            make_pieces(PIECES, scratch, progress or _no_progress)
            write_index(scratch / STARTER_INDEX_NAME, starter_index(scratch))
    except OSError as cause:
        raise AudioError(
            f"The starter music cannot be written to {folder}: {cause.strerror or cause}.",
            mend="Free some space or choose another data folder; it takes about 25 MB.",
        ) from cause
    return index_path


def is_whole(folder: Path) -> bool:
    """Whether a folder holds the starter music of this version, every file as it was written."""
    try:
        index = read_index(folder / STARTER_INDEX_NAME)
        if index.provenance.get("version") != str(STARTER_VERSION):
            return False
        recorded = json.loads(index.provenance["sha256"])
        return recorded.keys() == set(index.files) and all(
            sha256_of(folder / name) == sha256 for name, sha256 in recorded.items()
        )
    except (IndexFileError, OSError, KeyError, ValueError, AttributeError):
        return False


def starter_index(folder: Path) -> MusicIndex:
    """The index of the pieces in a folder: each window carries the affect that its piece was made for.

    Nobody has rated these pieces: the affect is an intention, not a measurement. The reference statistics are DEAM's,
    since the pieces are laid over DEAM's plane, with normal quantiles.

    Raises:
        OSError: a piece is missing.
    """
    starts = np.arange(0.0, PIECE_S - WINDOW_S + 0.1, STEP_S)
    points = np.array([piece.affect for piece in PIECES])
    probabilities = np.clip(np.linspace(0.0, 1.0, _QUANTILES), 0.005, 0.995)
    normal = np.array([NormalDist().inv_cdf(p) for p in probabilities])[:, None]
    quantiles = np.clip(np.array(DEAM.mean) + normal * np.array(DEAM.sd), -1.0, 1.0)
    return MusicIndex(
        name="starter",
        points=np.repeat(points, len(starts), axis=0).astype(np.float32),
        start_s=np.tile(starts, len(PIECES)).astype(np.float32),
        end_s=np.tile(starts + WINDOW_S, len(PIECES)).astype(np.float32),
        song=np.repeat(np.arange(len(PIECES)), len(starts)).astype(np.int32),
        song_ids=tuple(piece.song_id for piece in PIECES),
        titles=tuple(piece.shown_title for piece in PIECES),
        files=tuple(piece.file_name for piece in PIECES),
        song_end_s=np.full(len(PIECES), PIECE_S, dtype=np.float32),
        reference_mean=DEAM.mean,
        reference_sd=DEAM.sd,
        reference_quantiles=quantiles.astype(np.float32),
        provenance={
            "source": "composed and synthesised by emomusic_edge.deam_index.starter_music",
            "affect": "what each piece was made for; nobody has rated it",
            "licence": "Apache-2.0, as the program that makes it",
            PEOPLE_KEY: people_reference(),
            "version": str(STARTER_VERSION),
            "sha256": json.dumps({piece.file_name: sha256_of(folder / piece.file_name) for piece in PIECES}),
        },
    )


def make_piece(piece: Piece, folder: str) -> int:
    """Compose, play, master and write one piece; its number. Top-level and of plain arguments, for worker processes.

    Raises:
        MissingExtraError, AudioError: as `ensure_starter_music`.
    """
    write_ogg(Path(folder) / piece.file_name, master(render(compose(piece, STARTER_VERSION))), SAMPLE_RATE_HZ)
    return piece.number


def make_pieces(pieces: Sequence[Piece], folder: Path, progress: Callable[[int, int], None]) -> None:
    """Make pieces into a folder, on all cores (four at most); progress as in `ensure_starter_music`.

    Where worker processes cannot be started or are killed (a main module that cannot be imported again, too little
    memory) what is missing is made in this process, one after the other.

    Raises:
        MissingExtraError, AudioError: as `ensure_starter_music`.
    """
    progress(0, len(pieces))
    workers = min(_MOST_WORKERS, len(os.sched_getaffinity(0)), len(pieces))
    # spawned, not forked: the caller may hold threads (a camera, an audio device) that a fork would copy half
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_leave_interrupts_to_the_caller)
    made: set[int] = set()
    try:
        for future in as_completed([pool.submit(make_piece, piece, str(folder)) for piece in pieces]):
            made.add(future.result())
            progress(len(made), len(pieces))
    except BrokenProcessPool:
        for piece in pieces:
            if piece.number not in made:
                made.add(make_piece(piece, str(folder)))
                progress(len(made), len(pieces))
    finally:
        # on an error or Ctrl-C only the pieces under way are waited for, about a second
        pool.shutdown(wait=True, cancel_futures=True)


def _no_progress(done: int, total: int) -> None:
    """Nobody wants to know."""


def _leave_interrupts_to_the_caller() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
