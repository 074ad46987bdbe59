"""How far apart two nodes of a group start a song: two processes, a real mosquitto, the real publisher and player.

Each process has its own clock (one is set 1234 s ahead, so that the offset must truly be found), steps ten times a
second, and plays into a device that takes 512 frames at a time by the machine's monotonic clock and keeps them. The
songs are noise: where one sounds in what was kept is found by correlation, to the sample. Songs end, and are skipped on
either node in turn.

    in step        when the song's start second sounds (told from the second after the fade) on the one and the other
    first sound    when it reaches a fifth of its level there

    python benchmarks/group_start.py [--starts 24] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from group_node import SONG_S, START_S, rate_hz, run_node
from numpy.typing import NDArray

SONGS = 12
STARTS = 24
_DEADLINE_S = 60.0
_PLAYS_S = (3.0, 4.5)
_SKEWS_S = (0.0, 1234.5)
_PAST_S, _LOOK_S = 2.2, 0.5
_BEFORE_S, _AFTER_S = 0.3, 1.7
"""Around the moment when the leader chose a song, where its start is looked for."""
_AUDIBLE = 0.2
_WINDOW = 882
_HOP = 44
_MOST_APART_S = 0.15


@dataclass(frozen=True, slots=True)
class Start:
    """One song on both nodes.

    Attributes:
        song_id: which.
        by: what called for it: `end`, or a skip on the `leader` or the `follower`.
        in_step_ms: how much later its start second sounds on the follower.
        first_sound_ms: how much later it is heard there.
    """

    song_id: str
    by: str
    in_step_ms: float
    first_sound_ms: float


def measure(port: int, folder: Path, starts: int) -> list[Start]:
    """Let two nodes play together until so many songs have started on both.

    Args:
        port: of a broker on 127.0.0.1.
        folder: for the songs and what was heard.
        starts: how many.
    """
    songs = _songs(folder)
    rng = np.random.default_rng(2)
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(_node(port, folder, number)) for number in range(2)]
        _wait(lambda: [node.leads for node in nodes].count(True) == 1, "a leader")
        leader, follower = sorted(nodes, key=lambda node: not node.leads)
        # The clocks are found out within the first seconds.
        _wait(lambda: follower.started and leader.started and follower.in_step, "a first song in step")
        why = []
        for number in range(starts):
            by = ("end", "leader", "follower")[number % 3]
            expected = len(leader.started) + 1, len(follower.started) + 1
            time.sleep(float(rng.uniform(*_PLAYS_S)))
            if by != "end":
                (leader if by == "leader" else follower).say("skip")
            _wait_for_starts(leader, follower, expected)
            why.append(by)
        time.sleep(_PAST_S + _LOOK_S + 0.5)
        for node in nodes:
            node.say("stop")
        heard = [node.heard() for node in (leader, follower)]
    begun = leader.started[-starts:], follower.started[-starts:]
    found = []
    for by, here, there in zip(why, *begun, strict=True):
        assert here["song_id"] == there["song_id"], (here, there)
        song = songs[here["song_id"]]
        first, second = (_found(*sound, song, here["chosen_s"]) for sound in heard)
        found.append(Start(here["song_id"], by, 1e3 * (second[0] - first[0]), 1e3 * (second[1] - first[1])))
    return found


class _Node:
    def __init__(self, process: subprocess.Popen[str], kept: Path) -> None:
        self._process, self._kept = process, kept
        self.started: list[dict[str, Any]] = []
        self.leads = self.in_step = False
        self._ended: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            if "song_id" in told:
                self.started.append(told)
            elif "leads" in told:
                self.leads, self.in_step = told["leads"], told["in_step"]
            else:
                self._ended.put(told)

    def say(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()

    def heard(self) -> tuple[NDArray[np.int16], float]:
        """What sounded, int16 [frames], and when its first frame did, by the machine's monotonic clock."""
        began_s = self._ended.get(timeout=_DEADLINE_S)["opened_s"]
        return np.load(self._kept), began_s


@contextlib.contextmanager
def _node(port: int, folder: Path, number: int) -> Iterator[_Node]:
    kept = folder / f"heard-{number}.npy"
    command = [sys.executable, __file__, "--node", str(number), str(port), str(folder), str(_SKEWS_S[number])]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield _Node(process, kept)
    finally:
        process.kill()
        process.wait()


def _songs(folder: Path) -> dict[str, NDArray[np.float64]]:
    """Noise, each song its own; in blocks, since libsndfile's Vorbis writer overruns its stack."""
    rng, songs = np.random.default_rng(1), {}
    for number in range(SONGS):
        noise = 0.2 * rng.standard_normal(round(SONG_S * rate_hz))
        with soundfile.SoundFile(folder / f"s{number}.ogg", "w", rate_hz, 2, format="OGG") as out:
            for block in np.array_split(np.column_stack([noise, noise]), 1 + len(noise) // rate_hz):
                out.write(block)
        songs[f"s{number}"] = noise
    return songs


def _found(
    heard: NDArray[np.int16], opened_s: float, song: NDArray[np.float64], chosen_s: float
) -> tuple[float, float]:
    """When a song's start second sounded and when it was heard first, by the machine's clock."""
    first = round((chosen_s - opened_s + _PAST_S - _BEFORE_S) * rate_hz)
    part = heard[first : first + round((_LOOK_S + _BEFORE_S + _AFTER_S) * rate_hz)].astype(np.float64)
    wave = song[round((START_S + _PAST_S) * rate_hz) :][: round(_LOOK_S * rate_hz)]
    size = 1 << (len(part) + len(wave)).bit_length()
    lags = np.fft.irfft(np.fft.rfft(part, size) * np.conj(np.fft.rfft(wave, size)), size)[: len(part) - len(wave)]
    began = first + int(lags.argmax()) - round(_PAST_S * rate_hz)
    full = lags.max() / (wave @ wave)
    for start in range(began - 10 * _HOP, began + 2 * rate_hz, _HOP):
        there = START_S * rate_hz + start - began
        window = song[round(there) : round(there) + _WINDOW]
        if heard[start : start + _WINDOW] @ window / (window @ window) >= _AUDIBLE * full:
            return opened_s + began / rate_hz, opened_s + (start + _WINDOW / 2) / rate_hz
    raise AssertionError("the song was never heard")


def _wait_for_starts(leader: _Node, follower: _Node, expected: tuple[int, int]) -> None:
    _wait(
        lambda: len(leader.started) >= expected[0] and len(follower.started) >= expected[1],
        f"song {expected} on both nodes",
    )


def _wait(holds: Callable[[], object], what: str) -> None:
    end_s = time.monotonic() + _DEADLINE_S
    while not holds():
        if time.monotonic() > end_s:
            raise SystemExit(f"waited {_DEADLINE_S:.0f} s for {what}")
        time.sleep(0.02)


@contextlib.contextmanager
def _broker(folder: Path) -> Iterator[int]:
    """A mosquitto of its own; without a config it hears the loopback only."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin") or "mosquitto"
    with (folder / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen([program, "-p", str(port)], stdout=log, stderr=log)
    try:
        time.sleep(0.5)
        yield port
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Measure and print a table; exits with 1 when two starts were too far apart."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--starts", type=int, default=STARTS)
    arguments.add_argument("--json", action="store_true")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name, _broker(Path(name)) as port:
        found = measure(port, Path(name), asked.starts)
    if asked.json:
        print(json.dumps([asdict(start) for start in found], indent=1))
    else:
        print(f"{len(found)} starts      p50        p99        most")
        for what, key in (("in step", "in_step_ms"), ("first sound", "first_sound_ms")):
            apart = np.abs([getattr(start, key) for start in found])
            p50, p99 = np.percentile(apart, [50, 99])
            print(f"{what:<12} {p50:7.1f} ms {p99:7.1f} ms {apart.max():7.1f} ms")
    raise SystemExit(max(abs(start.first_sound_ms) for start in found) > 1e3 * _MOST_APART_S)


if __name__ == "__main__":
    if "--node" in sys.argv:
        run_node(*sys.argv[2:])
    else:
        main()
