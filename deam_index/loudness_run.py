"""Measures the loudness of all songs of an index: in processes of its own, and going on where it was stopped."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
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
        troubles: of the files that are there and do not decode, by name.
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
    done the file is written again with just the lines of the index's files; that of a file which is not there now,
    on a disk that is away, say, stays.

    Args:
        index: whose songs.
        roots: where they are.
        path: the loudness file.
        workers: processes; all cores if None.
        again: measure all that is there, as if nothing were known.
        progress: called with files done and in all, those known among them.

    Raises:
        MissingExtraError: pyloudnorm or soundfile is not installed.
        IndexFileError: the loudness file cannot be read or written, or no file is there.
    """
    require_meter()
    files = dict.fromkeys(index.files)
    there = [job for job in (_job(file, roots) for file in files) if job is not None]
    if not there:
        raise IndexFileError(
            f"none of the {index.song_count} songs of index {index.name!r} has its audio in {roots.folder}.",
            mend="Name the folder that holds the audio with --audio, or with `[music] audio_dir` in the config.",
        )
    with LoudnessWriter(path) as writer:
        kept = _lines_before(path, writer, again=again)
        jobs = [job for job in there if again or not _is_of(kept.get(job.file), job)]
        done = known = len(there) - len(jobs)
        for measured in _in_processes(jobs, workers or len(os.sched_getaffinity(0))):
            writer.add(measured)
            kept[measured.file] = measured
            done += 1
            if progress is not None:
                progress(done, len(there))
        kept = {file: kept[file] for file in files if file in kept}
        writer.compact(kept)
    lines = (kept[job.file] for job in there)
    troubles = {line.file: line.trouble for line in lines if line.loudness is None}
    return LoudnessRun(len(jobs), known, len(files) - len(there), troubles)


def _lines_before(path: Path, writer: LoudnessWriter, *, again: bool) -> dict[str, Measured]:
    try:
        return {line.file: line for line in read_lines(path)}
    except IndexFileError:
        if not again:
            raise
        writer.begin_anew()  # of another version: nothing in it can be kept
        return {}


def _is_of(line: Measured | None, job: _Job) -> bool:
    return line is not None and (line.size_bytes, line.changed_ns) == (job.size_bytes, job.changed_ns)


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
    """Never in this process: what a broken file may end is not the run."""
    waiting = deque(jobs)
    while waiting:
        suspects = yield from _in_pool(waiting, workers)
        for job in suspects:
            # alone, which tells which of them it was
            if (yield from _in_pool(deque([job]), 1)):
                trouble = f"{job.path} ended the process that measured it."
                yield Measured(job.file, job.size_bytes, job.changed_ns, None, trouble)


def _in_pool(waiting: deque[_Job], workers: int) -> Generator[Measured, None, list[_Job]]:
    """Measure what waits, to the end or until a worker dies; the jobs that are lost then."""
    # spawned, not forked: the caller may hold threads (a progress bar) that a fork would copy half
    pool = ProcessPoolExecutor(min(workers, len(waiting)), mp_context=get_context("spawn"), initializer=_begin_worker)
    under_way: dict[Future[Measured], _Job] = {}
    lost: list[_Job] = []
    try:
        while under_way or (waiting and not lost):
            while waiting and not lost and len(under_way) < _AHEAD * workers:
                job = waiting.popleft()
                try:
                    under_way[pool.submit(_measured, job)] = job
                except BrokenProcessPool:
                    lost.append(job)
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                job = under_way.pop(future)
                try:
                    measured = future.result()
                except BrokenProcessPool:
                    lost.append(job)
                else:
                    yield measured
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return lost


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # left to the caller
    threading.Thread(target=_end_with_the_caller, daemon=True).start()


def _end_with_the_caller() -> None:
    """A caller that is killed cannot end its workers, and they would wait for work for ever."""
    caller = parent_process()
    if caller is not None:
        caller.join()
        os._exit(1)
