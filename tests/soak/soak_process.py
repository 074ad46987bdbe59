"""The soak in a process of its own, so that nothing but the service holds its memory: `soak_process.py --help`.

The whole service runs on a looped clip at full speed; after the warm-up its memory, threads, descriptors and the time
of a fixed piece of work are noted every so many frames, and the latency of each frame.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from pathlib import Path

import numpy as np
from soak_figures import SoakRecord
from soak_leaks import LEAKS

from emomusic_edge.config import Settings, load_config
from emomusic_edge.contracts import StateSnapshot
from emomusic_edge.runtime.app import App, RunPlan
from emomusic_edge.runtime.bench.machine import read_machine
from emomusic_edge.runtime.bench.noise import FixedWork

_PROGRESS_FRAMES = 5000


class Watch:
    """An observer of the service that keeps the record. All its memory is taken and touched at the start."""

    def __init__(self, frames: int, warm_up: int, every: int, fixed_work: FixedWork) -> None:
        self._warm_up, self._every, self._fixed_work = warm_up, every, fixed_work
        self._seen = self._samples = 0
        self._latency_ms = np.full(frames, np.nan)
        self._memory = np.full((frames // every + 1, 4), -1, np.int64)
        self._work_ms = np.full(frames // every + 1, np.nan)
        self._started_s = self._ended_s = 0.0

    def __call__(self, snapshot: StateSnapshot) -> None:
        """Note a frame; the one that ends the warm-up brings the first sample and no latency."""
        if not snapshot.new_frame:
            return
        after = self._seen - self._warm_up
        self._seen += 1
        if 0 < after <= len(self._latency_ms):
            self._latency_ms[after - 1] = snapshot.latency_ms
        if after >= 0 and after % self._every == 0:
            self._sample()
        if self._seen % _PROGRESS_FRAMES == 0:
            self._tell()

    def _sample(self) -> None:
        now_s = time.perf_counter()
        if self._samples == 0:
            self._started_s = now_s
        self._ended_s = now_s
        self._fixed_work()
        self._work_ms[self._samples] = 1e3 * (time.perf_counter() - now_s)
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines())
        kib = {name: int(status[name].split()[0]) for name in ("VmRSS", "RssAnon", "RssShmem", "Threads")}
        # the descriptor of the listing itself is always among them
        descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not paths
        self._memory[self._samples] = (kib["VmRSS"], kib["RssAnon"] + kib["RssShmem"], kib["Threads"], descriptors)
        self._samples += 1

    def _tell(self) -> None:
        done = max(self._seen - self._warm_up, 0)
        phase = f"{done:,} of {len(self._latency_ms):,} frames" if done else f"warm-up, {self._seen:,} frames"
        memory = self._memory[max(self._samples - 1, 0)]
        told = f", {memory[0] / 1024:.1f} MiB, {memory[2]} threads, {memory[3]} descriptors" if self._samples else ""
        print(f"soak: {phase}{told}", flush=True)  # noqa: T201 - the progress

    def record(self, clip: str) -> SoakRecord:
        assert not np.isnan(self._latency_ms).any(), "the run ended before its time"
        resident, anonymous, threads, descriptors = self._memory.T.tolist()
        return SoakRecord(
            machine=read_machine(),
            clip=clip,
            warm_up=self._warm_up,
            every=self._every,
            resident_kib=tuple(resident),
            anonymous_kib=tuple(anonymous),
            threads=tuple(threads),
            descriptors=tuple(descriptors),
            fixed_work_ms=tuple(np.round(self._work_ms, 4).tolist()),
            latency_ms=tuple(np.round(self._latency_ms, 4).tolist()),
            seconds=round(self._ended_s - self._started_s, 2),
        )


def soak_settings(clip: Path, data_dir: Path, port: int) -> Settings:
    """The starter set, muted, a broker on this machine told as often as the settings allow."""
    return load_config(
        None,
        {
            "camera.source": str(clip),
            "paths.data_dir": str(data_dir),
            "models.face": "face-starter",
            "models.scene": "scene-starter",
            # the starter model is too cheap to be skipped by itself: what ages estimates is to run too
            "loop.scene_max_age_s": 1.0,
            "music.index": "starter",
            "player.muted": True,
            "mqtt.host": "127.0.0.1",
            "mqtt.port": port,
            "mqtt.node": "soak",
            "mqtt.min_interval_s": 0.1,
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True, help="of a broker on 127.0.0.1")
    parser.add_argument("--frames", type=int, required=True, help="after the warm-up")
    parser.add_argument("--warm-up", type=int, required=True)
    parser.add_argument("--every", type=int, required=True, help="frames between two samples; divides --frames")
    parser.add_argument("--out", type=Path, required=True, help="JSON of the record")
    parser.add_argument("--leak", choices=sorted(LEAKS), action="append", default=[], help="a fault to find")
    arguments = parser.parse_args()
    if arguments.frames % arguments.every:
        parser.error("--every must divide --frames")
    settings = soak_settings(arguments.clip, arguments.data_dir, arguments.port)
    with contextlib.closing(FixedWork(os.sched_getaffinity(0))) as fixed_work:
        watch = Watch(arguments.frames, arguments.warm_up, arguments.every, fixed_work)
        plan = RunPlan(fast=True, loop=True, max_frames=arguments.warm_up + arguments.frames + 1)
        app = App(settings, plan)
        for leak in arguments.leak:
            app.observe(LEAKS[leak]())
        app.observe(watch)
        told = app.run()
    if told["reasons"]:
        sys.exit(f"the service was not well: {told['reasons']}")
    record = watch.record(arguments.clip.name)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(record.model_dump_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
