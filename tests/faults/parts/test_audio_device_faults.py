"""An audio device that is missing at the start, busy, frozen, or lost and back: sound returns by itself.

The real player, mixer and SDL in a process of its own; the device is a PulseAudio server with a null sink, whose
monitor is listened to, and for the busy one SDL's file driver on a file that another program holds. The song's clock
goes on all the while. The short run has short patience; `pytest -m faults -s` has the product's, twenty times each, and
prints the rows of docs/reliability.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fault_figures import REPETITIONS, chance, p95, tell, wait_for
from sound_server import MISSING, WHY_MISSING, NullSinkServer
from sounds import sine, strength, write

GOAL_S = 10.0
PITCH_HZ = 600.0
SONG_S = 120.0
_ABREAST = 7
"""Players that run at once: they mostly wait."""

SCRIPT = """
import json, sys, time
from pathlib import Path
from emomusic_edge.contracts import Segment
from emomusic_edge.runtime.audio.mixer import StreamMixer
from emomusic_edge.runtime.audio.player import MusicPlayer
from emomusic_edge.runtime.audio.sdl import SdlSink
song, log, retry_s = sys.argv[1:]
player = MusicPlayer(StreamMixer(SdlSink()), retry_s=float(retry_s))
began_s = time.monotonic()
player.start()
player.play(Segment("s", 0.0, 10.0, 0.0, 0.0, Path(song), 120.0), began_s)
with open(log, "w", buffering=1) as file:
    while True:
        status = player.status(time.monotonic())
        at_s = time.monotonic()
        told = {"at_s": at_s, "muted": status.muted, "reason": status.reason, "position_s": status.position_s,
                "behind_s": at_s - began_s - status.position_s, "silent_s": player.silent_s}
        print(json.dumps(told), file=file)
        time.sleep(0.02)
"""


class Played:
    """A player in a process of its own, and what it tells."""

    def __init__(self, song: Path, log: Path, environment: dict[str, str], retry_s: float) -> None:
        self._log = log
        self._said = log.with_name("said")
        with self._said.open("wb") as said:
            self._child = subprocess.Popen(
                [sys.executable, "-c", SCRIPT, str(song), str(log), str(retry_s)], env=environment, stderr=said
            )

    def all_told(self) -> list[dict[str, Any]]:
        lines = self._log.read_text().split("\n")[:-1] if self._log.exists() else []
        return [json.loads(line) for line in lines]

    def told(self) -> dict[str, Any] | None:
        """The newest line."""
        lines = self._log.read_bytes()[-4096:].split(b"\n")[:-1] if self._log.exists() else []
        return json.loads(lines[-1]) if lines else None

    def wait(self, *, muted: bool) -> dict[str, Any]:
        def holds() -> bool:
            told = self.told()
            return told is not None and told["muted"] is muted

        self.wait_for(holds, f"muted to be {muted}")
        found = self.told()
        assert found is not None
        return found

    def wait_for(self, holds: Callable[[], bool], what: str) -> None:
        """As `wait_for`; where it waits in vain, with what the player told and logged last."""
        try:
            wait_for(holds, what)
        except AssertionError as waited:
            said = self._said.read_text(errors="replace")[-2000:]
            raise AssertionError(f"{waited}; told last: {self.told()}; logged last: {said}") from None

    def end(self) -> None:
        alive = self._child.poll() is None
        self._child.kill()
        self._child.wait()
        assert alive, "the player's process ended"


@contextlib.contextmanager
def on_a_server(folder: Path, song: Path, retry_s: float, *, is_there: bool) -> Iterator[tuple[NullSinkServer, Played]]:
    server = NullSinkServer(folder)
    if is_there:
        server.start()
    played = Played(song, folder / "log", server.environment | {"SDL_AUDIODRIVER": "pulseaudio"}, retry_s)
    try:
        played.wait(muted=not is_there)
        yield server, played
    finally:
        played.end()
        server.kill()


def missing_at_start(folder: Path, song: Path, dice: random.Random, retry_s: float) -> float:
    with on_a_server(folder, song, retry_s, is_there=False) as (server, played):
        assert "no audio device answers" in played.wait(muted=True)["reason"]
        time.sleep(dice.uniform(0.0, 2.0))
        server.start()
        return sounding_again(played, server, time.monotonic())


def lost(folder: Path, song: Path, dice: random.Random, retry_s: float) -> float:
    with on_a_server(folder, song, retry_s, is_there=True) as (server, played):
        time.sleep(dice.uniform(0.0, 1.0))
        server.kill()
        assert "audio device" in played.wait(muted=True)["reason"]
        time.sleep(dice.uniform(0.0, 2.0))
        server.start()
        return sounding_again(played, server, time.monotonic())


def frozen(folder: Path, song: Path, dice: random.Random, retry_s: float) -> float:
    with on_a_server(folder, song, retry_s, is_there=True) as (server, played):
        server.freeze(True)
        time.sleep(dice.uniform(1.0, 10.0))
        server.freeze(False)
        return sounding_again(played, server, time.monotonic())


def busy(folder: Path, song: Path, dice: random.Random, retry_s: float) -> float:
    """SDL's driver that plays into a file, which a running program is: the kernel lets nobody write there."""
    device = folder / "device"
    shutil.copy(shutil.which("sleep") or "", device)
    holder = subprocess.Popen([device, "1000"])
    environment = os.environ | {"SDL_AUDIODRIVER": "disk", "SDL_DISKAUDIOFILE": str(device)}
    played = Played(song, folder / "log", environment, retry_s)
    try:
        assert "no audio device answers" in played.wait(muted=True)["reason"]
        time.sleep(dice.uniform(0.0, 2.0))
        holder.kill()
        holder.wait()
        freed_s = time.monotonic()
        at_s = float(played.wait(muted=False)["at_s"])
        wait_for(lambda: device.stat().st_size > 44_100 * 4, "a second of sound")
        return at_s - freed_s
    finally:
        holder.kill()
        holder.wait()
        played.end()


def sounding_again(played: Played, server: NullSinkServer, from_s: float) -> float:
    """Seconds until the player says that it sounds; the sink is then listened to."""
    at_s = max(float(played.wait(muted=False)["at_s"]), from_s)
    assert server.running

    def heard() -> bool:
        return bool(strength(server.heard(0.3), PITCH_HZ)[-1] > 0.5)

    played.wait_for(heard, "the song to be heard")
    told = played.all_told()
    # The song went on all the while, told or heard or not: it is where it would be had nothing happened.
    assert max(line["behind_s"] for line in told) < 1.0
    # and nobody who watches the player's thread would have thought that it hangs
    assert max(line["silent_s"] for line in told) < 20.0
    return at_s - from_s


KINDS: dict[str, Callable[[Path, Path, random.Random, float], float]] = {
    "audio device missing at the start": missing_at_start,
    "audio device busy": busy,
    "audio device lost and back": lost,
    "sound server frozen": frozen,
}
needs_server = pytest.mark.skipif(MISSING, reason=WHY_MISSING)


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("song") / "song.flac", sine(PITCH_HZ, SONG_S))


def strike(folder: Path, song: Path, kind: str, number: int, retry_s: float) -> float:
    place = folder / f"{list(KINDS).index(kind)}-{number}"
    place.mkdir()
    return KINDS[kind](place, song, chance(kind, number), retry_s)


@needs_server
def test_sound_returns_by_itself(tmp_path: Path, song: Path) -> None:
    # Abreast, since each mostly waits; a lost one stands in tests/runtime/audio/test_pulse.py.
    kinds = ["audio device missing at the start", "audio device busy"]
    with ThreadPoolExecutor(len(kinds)) as pool:
        list(pool.map(lambda kind: strike(tmp_path, song, kind, 0, 0.3), kinds))


@needs_server
@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_times_sound_returns(tmp_path: Path, song: Path, kind: str) -> None:
    with ThreadPoolExecutor(_ABREAST) as pool:
        recoveries = list(pool.map(lambda n: strike(tmp_path, song, kind, n, 5.0), range(REPETITIONS)))
    tell(kind, recoveries)
    assert p95(recoveries) <= GOAL_S
