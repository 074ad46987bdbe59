"""Measures the loudness of all songs of an index: in processes of its own, and going on where it was stopped."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path

from emomusic_edge.errors import IndexFileError

from .audio_files import AudioRoots
from .loudness import measure, require_meter
from .loudness_file import LoudnessWriter, Measured, read_lines
from .music_index import MusicIndex

# Handed to the pool at once, for each worker: the rest of a large library need not wait as objects.
_AHEAD = 4


@dataclass(frozen=True, slots=True)
class LoudnessRun:
    """How it went.

    Attributes:
        measured: files measured now.
        known: files measured before and unchanged since.
        missing: files that are not there.
        troubles: of the files that do not decode, by name.
    """

    measured: int
    known: int
    missing: int
    troubles: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Job:
    file: str
    path: str
    size_bytes: int
    changed_ns: int


def measure_loudness(
    index: MusicIndex,
    roots: AudioRoots,
    path: Path,
    *,
    workers: int | None = None,
    again: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> LoudnessRun:
    """Measure each file once, and again only if its size or time of change is another.

    Each result is on the disk as soon as it is there: a run that is killed goes on from where it was. When all is
    done the file is written again with just the lines of the index's files.

    Args:
        index: whose songs.
        roots: where they are.
        path: the loudness file.
        workers: processes; all cores if None.
        again: measure all, as if nothing were known.
        progress: called with files done and in all, those known among them.

    Raises:
        MissingExtraError: pyloudnorm or soundfile is not installed.
        IndexFileError: the loudness file cannot be read or written, or no file is there.
    """
    require_meter()
    if again:
        path.unlink(missing_ok=True)
    before = {line.file: line for line in read_lines(path)}
    wanted: dict[str, Measured] = {}
    jobs: list[_Job] = []
    missing = 0
    for file in dict.fromkeys(index.files):
        job = _job(file, roots)
        if job is None:
            missing += 1
        elif (old := before.get(file)) and (old.size_bytes, old.changed_ns) == (job.size_bytes, job.changed_ns):
            wanted[file] = old
        else:
            jobs.append(job)
    if not wanted and not jobs:
        raise IndexFileError(
            f"none of the {index.song_count} songs of index {index.name!r} has its audio in {roots.folder}.",
            mend="Name the folder that holds the audio with --audio, or with `[music] audio_dir` in the config.",
        )
    known = len(wanted)
    with LoudnessWriter(path) as writer:
        for measured in _in_processes(jobs, workers or len(os.sched_getaffinity(0))):
            writer.add(measured)
            wanted[measured.file] = measured
            if progress is not None:
                progress(len(wanted), known + len(jobs))
        writer.compact(wanted)
    troubles = {line.file: line.trouble for line in wanted.values() if line.loudness is None}
    return LoudnessRun(len(jobs), known, missing, troubles)


def _job(file: str, roots: AudioRoots) -> _Job | None:
    path = roots.path_of(file)
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return _Job(file, str(path), status.st_size, status.st_mtime_ns)


def _measured(job: _Job) -> Measured:
    try:
        loudness = measure(Path(job.path))
    except IndexFileError as trouble:
        return Measured(job.file, job.size_bytes, job.changed_ns, None, str(trouble))
    return Measured(job.file, job.size_bytes, job.changed_ns, loudness)


def _in_processes(jobs: list[_Job], workers: int) -> Iterator[Measured]:
    if len(jobs) < 2 or workers < 2:
        yield from map(_measured, jobs)
        return
    # spawned, not forked: the caller may hold threads (a progress bar) that a fork would copy half
    pool = ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn"), initializer=_begin_worker)
    waiting = iter(jobs)
    under_way: set[Future[Measured]] = set()
    try:
        under_way.update(pool.submit(_measured, job) for job in islice(waiting, _AHEAD * workers))
        while under_way:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            under_way.update(pool.submit(_measured, job) for job in islice(waiting, len(done)))
            yield from (future.result() for future in done)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # left to the caller
    threading.Thread(target=_end_with_the_caller, daemon=True).start()


def _end_with_the_caller() -> None:
    """A caller that is killed cannot end its workers, and they would wait for work for ever."""
    caller = parent_process()
    if caller is not None:
        caller.join()
        os._exit(1)
