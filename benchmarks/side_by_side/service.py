"""Measures the running service: start to first state, memory, the age of what is told, the work beside the models."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers.inputs import Inputs

from emomusic_edge.runtime.bench.noise import timings_ms
from side_by_side.broker import StateWatch, broker
from side_by_side.made_camera import SOURCE, MadeCamera, made_camera
from side_by_side.roster import REPO
from side_by_side.worker_process import PeerError, plain_environment, resident_mib

_NODE = "bench"
_START_DEADLINE_S = 60.0
_END_S = 10.0


@dataclass(frozen=True)
class ServiceFigures:
    """What was found.

    Attributes:
        start_s: from the start of the process to the first state at a subscriber, by run; the first run, which warms
            the disk's cache, is not among them.
        resident_mib: VmRSS by run, once it had run for a while.
        step_ms, neither_ms, age_ms: by frame: the whole step; what of it is neither model nor detector; the age of the
            picture when the publisher had it.
        imported: which of the libraries that `run` must never import it did import.
        frames_ready: how many frames lay ready when the loop asked; for the others it waited, and no hand-over counts.
        camera_start_s: as `start_s`, of runs that look through a USB camera instead of at a clip.
        camera_missing: why those were not measured.
        noise_ms: of the fixed work before each start, and before and after the watched run.
        providers: by model, what the watched run said it runs on.
    """

    start_s: list[float]
    resident_mib: list[float]
    step_ms: list[float]
    neither_ms: list[float]
    age_ms: list[float]
    imported: list[str]
    frames_ready: int
    noise_ms: list[float]
    camera_start_s: list[float] = field(default_factory=list)
    camera_missing: str = ""
    providers: dict[str, str] = field(default_factory=dict)


def measure_service(
    inputs: Inputs,
    clip: Path,
    scratch: Path,
    *,
    starts: int,
    seconds: float,
    fixed_work: Callable[[], object],
    announce: Callable[[str], None],
) -> ServiceFigures:
    """Run the real command several times, then the service with a watch on its parts.

    Args:
        inputs: name the bundles.
        clip: what it looks at, at ten frames a second.
        scratch: an empty folder.
        starts: how many runs of the command count.
        seconds: how long the last run takes, and how long a counted one runs before its memory is read.
        fixed_work: timed between the runs, to judge the machine by.
        announce: told each step.

    Raises:
        PeerError: the broker or the service failed.
    """
    with broker(scratch) as port:
        settings = _settings(inputs, clip, port)
        start_s, resident, noise_ms, camera_start_s = [], [], [], []
        camera, camera_missing = _camera(scratch)
        for number in range(starts + 1):
            announce(f"emomusic-edge run, {number} of {starts} starts measured")
            noise_ms += timings_ms(fixed_work, time.perf_counter)
            # Memory is read once at the end of a longer run, from the last two starts.
            began_s, memory = _start(settings, port, scratch, seconds if number >= starts - 1 else 0.0)
            if number:
                start_s.append(began_s)
            if number >= starts - 1 and memory is not None:
                resident.append(memory)
            if camera is not None:
                began_s, _ = _start(settings, port, scratch, 0.0, camera)
                if number:
                    camera_start_s.append(began_s)
        announce(f"the service for {seconds:g} s in real time")
        noise_ms += timings_ms(fixed_work, time.perf_counter)
        told = _watched(settings, seconds, scratch)
        noise_ms += timings_ms(fixed_work, time.perf_counter)
    kept = ("step_ms", "neither_ms", "age_ms", "imported", "frames_ready", "providers")
    return ServiceFigures(
        start_s,
        resident,
        noise_ms=noise_ms,
        camera_start_s=camera_start_s,
        camera_missing=camera_missing,
        **{name: told[name] for name in kept},
    )


def _camera(scratch: Path) -> tuple[MadeCamera | None, str]:
    """A camera, or why there is none."""
    folder = scratch / "camera"
    folder.mkdir()
    try:
        return made_camera(folder), ""
    except PeerError as error:
        return None, str(error)


def _settings(inputs: Inputs, clip: Path, port: int) -> dict[str, Any]:
    return {
        "camera": {"source": str(clip)},
        "models": {"scene": str(inputs.bundles["scene-int8"]), "face": str(inputs.bundles["face-int8"])},
        # Every frame through both models: the clip's picture changes little.
        "loop": {"scene_max_age_s": 0.0},
        "player": {"muted": True},
        "mqtt": {"host": "127.0.0.1", "port": port, "node": _NODE},
    }


def run_command(settings: dict[str, Any], scratch: Path, camera: MadeCamera | None = None) -> list[str]:
    """The line that runs the service with these settings and else the defaults: no configuration of the user's.

    Args:
        settings: those that are not the defaults.
        scratch: a folder for an empty configuration.
        camera: what the run looks through instead of at the clip.
    """
    if camera is not None:
        settings = {**settings, "camera": {"source": SOURCE}}
    config = scratch / "empty.toml"
    config.touch()
    assignments = [
        word
        for section, values in settings.items()
        for name, value in values.items()
        for word in ("--set", f"{section}.{name}={str(value).lower() if isinstance(value, bool) else value}")
    ]
    command = [str(Path(sys.executable).with_name("emomusic-edge")), "run", "--config", str(config), *assignments]
    return [*command, "--loop"] if camera is None else camera.before(command)


def _start(
    settings: dict[str, Any], port: int, scratch: Path, run_s: float, camera: MadeCamera | None = None
) -> tuple[float, float | None]:
    """Seconds to the first state, and the memory after `run_s` more."""
    command, environment = run_command(settings, scratch, camera), plain_environment(os.environ)
    if camera is not None:
        environment["LD_PRELOAD"] = camera.preload
    with StateWatch(port, _NODE) as watch, (scratch / "run.log").open("wb") as log:
        began_s = time.perf_counter()
        with ended(subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=scratch)) as process:
            try:
                first_s = watch.wait(_START_DEADLINE_S)
            except PeerError as error:
                last = (scratch / "run.log").read_text(errors="replace").strip().splitlines()[-1:]
                raise PeerError(f"emomusic-edge run: {error}; {' '.join(last)}") from error
            time.sleep(run_s)
            return first_s - began_s, resident_mib(process.pid)


def _watched(settings: dict[str, Any], seconds: float, scratch: Path) -> dict[str, Any]:
    environment = {**plain_environment(os.environ), "PYTHONPATH": str(REPO / "benchmarks")}
    command = [sys.executable, "-m", "peers.service", json.dumps(settings), str(seconds)]
    with (
        (scratch / "service.log").open("wb") as log,
        (scratch / "service.json").open("wb") as out,
        ended(subprocess.Popen(command, stdout=out, stderr=log, env=environment, cwd=scratch)) as process,
    ):
        try:
            process.wait(seconds + _START_DEADLINE_S)
        except subprocess.TimeoutExpired as cause:
            raise PeerError("the watched service did not end") from cause
    lines = (scratch / "service.json").read_text(encoding="utf-8").strip().splitlines()
    if process.returncode != 0 or not lines:
        last = (scratch / "service.log").read_text(errors="replace").strip().splitlines()[-1:]
        raise PeerError(f"the watched service ended with status {process.returncode}: {' '.join(last)}")
    told: dict[str, Any] = json.loads(lines[-1])
    return told


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End a process by its pid when the block is left, however it is left."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
