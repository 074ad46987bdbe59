"""What is done to a run of the whole program, by name. Each is drawn by a seed and leaves the run well.

`LIVED_THROUGH` go on within one process: each does its fault, ends it, and tells from when the recovery counts.
`ENDINGS` bring a run into some state and are then ended by a signal.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from faulty import House, Run, eventually

Strike = Callable[[Run, random.Random], float]
Ending = Callable[[House, random.Random], Run]

WATCHDOG_S = 1.5
LIMIT_S = 1.0
"""Of the runs here; the product's are 30 s, 20 for the camera and 45 for the sound."""

FEW = {"name server hangs": 4}
"""How often what takes a quarter of a minute is repeated."""


def well(run: Run, since_s: float) -> float:
    """Wait until it sees, sounds, is told about and pings again; seconds since `since_s`."""
    run.heard()
    states, sounded = run.house.count("state"), run.sound_bytes()
    run.states(1, since=states)
    run.sounds(0.1, since=sounded)
    eventually(lambda: run.over() or "WATCHDOG=1" in run.heard(), f"a ping: {run.log[-1000:]}")
    assert not run.over(), run.log
    return time.monotonic() - since_s


def wall_clock(run: Run, chance: random.Random) -> float:
    clock = Path(run.environment["JUMPING_CLOCK"])
    step_s = chance.choice((-3600, 3600)) + chance.randint(-600, 600)
    before = struct.unpack("q", clock.read_bytes())[0]
    with clock.open("r+b") as moved:
        moved.write(struct.pack("q", before + step_s))
    return time.monotonic()


def stopped(run: Run, chance: random.Random) -> float:
    """Longer than a standstill, than what a camera is given for a picture, and than systemd's patience here."""
    os.kill(run.pid, signal.SIGSTOP)
    children = run.children()
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(5.5 + chance.random())
    for pid in (*children, run.pid):
        os.kill(pid, signal.SIGCONT)
    since_s = time.monotonic()
    eventually(lambda: run.over() or "stood still for" in run.log, "the standstill to be told")
    return since_s


def times(told: str, run: Run) -> int:
    """How often something stands in the log, whose lines may break anywhere."""
    return " ".join(run.log.split()).count(told)


def thread_raises(name: str, told: str, mended: str = "") -> Strike:
    """The error strikes when the thread next moves, and all still looks well until then; so the log is waited for."""

    def strike(run: Run, chance: random.Random) -> float:
        time.sleep(chance.random() / 5)
        before, mends = times(told, run), times(mended, run)
        run.order(**{"raise": name})
        since_s = time.monotonic()
        eventually(lambda: run.over() or times(told, run) > before, f"the error in {name} to be told")
        if mended:
            eventually(lambda: run.over() or times(mended, run) > mends, f"the error in {name} to be mended")
        return since_s

    return strike


def edge_hangs(edge: str, part: str) -> Strike:
    """No ping while a part hangs; where it goes on after all, so do the pings."""

    def strike(run: Run, chance: random.Random) -> float:
        time.sleep(chance.random() / 5)
        if edge == "name server":
            # It is asked only for a new line.
            run.house.broker.stop()
        run.order(hang=edge)
        if part:
            eventually(lambda: f"STATUS=hangs: {part}" in run.heard(), f"{part} to be told as hanging")
        else:
            time.sleep(WATCHDOG_S / 3)
        run.heard()
        time.sleep(WATCHDOG_S)
        assert "WATCHDOG=1" not in run.heard(), "systemd is told that all is well, though it hangs"
        if edge == "name server":
            run.house.broker.start()
        run.order(go_on=edge)
        return time.monotonic()

    return strike


def camera_killed(run: Run, _: random.Random) -> float:
    """As the kernel does when memory is short."""
    for pid in run.children():
        os.kill(pid, signal.SIGKILL)
    return time.monotonic()


def memory_short(run: Run, chance: random.Random) -> float:
    """No more address space than it has: no thread, no process and no large array can be made."""
    pages = int(Path(f"/proc/{run.pid}/statm").read_text().split()[0])
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(run.pid, resource.RLIMIT_AS, (pages * resource.getpagesize(), resource.RLIM_INFINITY))
    run.house.listener.send(run.house.topic("cmd/skip"))
    camera_killed(run, chance)
    time.sleep(1.0 + chance.random())
    resource.prlimit(run.pid, resource.RLIMIT_AS, unlimited)
    return time.monotonic()


def overload(run: Run, chance: random.Random) -> float:
    """Two processes for each core that do nothing but reckon."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    seen = run.house.count("state")
    time.sleep(2.0 + chance.random())
    for burner in burners:
        burner.kill()
        burner.wait()
    since_s = time.monotonic()
    ages = [one["latency_ms"] for one in run.house.told("state", seen) if one["sources"]]
    assert ages
    assert all(isinstance(age, float) and age < 2000.0 for age in ages), ages
    return since_s


LIVED_THROUGH: dict[str, Strike] = {
    "wall clock stepped": wall_clock,
    "process stopped": stopped,
    "error in thread capture": thread_raises("capture", "capture thread failed"),
    "error in thread mixer": thread_raises("mixer", "mixing failed", "the audio device is back"),
    "error in thread player": thread_raises("player", "player's thread failed", "the audio device is back"),
    "error in thread of the network": thread_raises("paho-mqtt", "network thread has ended", "connected to the broker"),
    "sound hangs": edge_hangs("sound", "sound"),
    "camera's thread hangs": edge_hangs("camera", "camera"),
    "name server hangs": edge_hangs("name server", "smart home"),
    "model hangs": edge_hangs("model", ""),
    "camera's process killed": camera_killed,
    "no memory to be had": memory_short,
    "other programs take the CPU": overload,
}


def playing(house: House, chance: random.Random) -> Run:
    run = house.run().playing()
    time.sleep(chance.random())
    return run


def loading(house: House, chance: random.Random) -> Run:
    run = house.run()
    eventually(lambda: run.over() or any("EXTEND" in word for word in run.heard()), "loading to begin")
    time.sleep(chance.random() * 0.3)
    return run


def loading_hangs(house: House, chance: random.Random) -> Run:
    run = house.run(before=["hang=loading"])
    eventually(lambda: run.over() or any("EXTEND" in word for word in run.heard()), "loading to begin")
    time.sleep(0.3 + chance.random())
    return run


def crossfading(house: House, chance: random.Random) -> Run:
    run = house.run().playing()
    house.listener.send(house.topic("cmd/skip"))
    time.sleep(chance.random() * 0.3)
    return run


def broker_away(house: House, chance: random.Random) -> Run:
    run = house.run().playing()
    house.broker.stop()
    time.sleep(chance.random())
    return run


def broker_frozen(house: House, chance: random.Random) -> Run:
    run = house.run().playing()
    house.broker.freeze()
    time.sleep(chance.random())
    return run


def paused(house: House, chance: random.Random) -> Run:
    run = house.run().playing()
    house.listener.send(house.topic("cmd/pause"))
    eventually(lambda: not run.children(), "the camera to be closed")
    time.sleep(1.0 + chance.random())
    return run


def camera_blocked(house: House, chance: random.Random) -> Run:
    run = house.run().playing()
    house.camera.set("hang")
    time.sleep(chance.random())
    return run


def sound_blocked(house: House, chance: random.Random) -> Run:
    run = house.run().playing()
    run.order(hang="sound")
    time.sleep(chance.random())
    return run


ENDINGS: dict[str, Ending] = {
    "playing": playing,
    "loading": loading,
    "loading, which hangs": loading_hangs,
    "one song fading into another": crossfading,
    "broker away": broker_away,
    "broker frozen": broker_frozen,
    "paused": paused,
    "camera blocked": camera_blocked,
    "sound blocked": sound_blocked,
}
