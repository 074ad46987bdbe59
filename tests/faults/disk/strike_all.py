"""Strikes every file call of every kept thing; run by test_disk_strikes.py in a process of its own.

`killed`: killed just before the call. `EIO`, `ENOSPC`, …: the call fails with that error, once or from then on. A line
of JSON for each kept thing: how many strikes, how the thing stood after them, and what was not as it should be.
"""

from __future__ import annotations

import json
import logging
import random
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kept_things import NEW, NONE, OLD, THINGS, KeptThing
from struck_call import READING, CannotTraceError, calls_of, struck

from emomusic_edge.errors import EmomusicError

KILLED = "killed"
_NOT_OURS = ("OSError", "PermissionError", "FileNotFoundError", "BlockingIOError")


@dataclass
class Verdict:
    """What a kept thing went through.

    Attributes:
        thing: its name.
        strikes: how many, those that met nothing aside.
        stood: how often the old one, the new one or none stood after a strike.
        failed: how often the writer told that it could not.
        wrong: what was not as it should be, a line each.
    """

    thing: str
    strikes: int = 0
    stood: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    wrong: list[str] = field(default_factory=list)


def strike_thing(thing: KeptThing, kind: str, folder: Path, share: float, chance: random.Random) -> Verdict:
    """Strike a share of the calls of a thing; with a share of 1 each of them."""
    verdict = Verdict(thing.name)
    prepared, clean = folder / "prepared", folder / "clean"
    prepared.mkdir(parents=True)
    thing.old(prepared)
    before = thing.read(prepared)
    assert before in (NONE, OLD)
    shutil.copytree(prepared, clean, symlinks=True)
    thing.new(clean)
    expected = _names(clean)
    counted = folder / "counted"
    shutil.copytree(prepared, counted, symlinks=True)
    calls = calls_of(lambda: thing.new(counted))
    for call, times in sorted(calls.items()):
        if kind in (KILLED, "ENOSPC", "EROFS", "EDQUOT") and call in READING:
            continue
        for number in range(1, times + 1):
            for lasting in ("",) if kind == KILLED or call == "close" else ("", "+"):
                if chance.random() < share:
                    what = f"signal=SIGKILL:when={number}" if kind == KILLED else f"error={kind}:when={number}{lasting}"
                    _strike(thing, f"{call}:{what}", folder, verdict, before=before, expected=expected)
    return verdict


def _strike(thing: KeptThing, strike: str, folder: Path, verdict: Verdict, *, before: str, expected: list[str]) -> None:
    place = folder / "struck"
    shutil.copytree(folder / "prepared", place, symlinks=True)
    try:
        outcome = struck(lambda: thing.new(place), strike)
        killed = "SIGKILL" in strike
        if killed and not outcome.killed:
            return
        verdict.strikes += 1
        verdict.failed += outcome.failed or bool(outcome.told)
        if not killed:
            verdict.wrong += [f"{strike}: {line}" for line in _words(outcome.told, place, failed=outcome.failed)]
        found = thing.read(place)
        verdict.stood[found] = verdict.stood.get(found, 0) + 1
        if found not in (before, NEW, thing.between):
            verdict.wrong.append(f"{strike}: {found} stands, {before} or {NEW} was expected")
        # The next one works, and what the killed one left is gone.
        again = thing.new(place)
        found = thing.read(place)
        if again or found != NEW:
            verdict.wrong.append(f"{strike}: the next write gave {found} {again}")
        if _names(place) != expected:
            verdict.wrong.append(f"{strike}: {_names(place)} is left, {expected} was expected")
    except Exception as error:  # noqa: BLE001 (whatever it is, it is what the strike did)
        verdict.wrong.append(f"{strike}: {type(error).__name__}: {error}")
    finally:
        shutil.rmtree(place)


def _words(told: str, place: Path, *, failed: bool) -> list[str]:
    """What is wrong with how a failure was told."""
    if not told:
        return []
    kind, _, message = told.partition(": ") if failed else ("", "", told)
    ours = [one.__name__ for one in _subclasses(EmomusicError)]
    if failed and kind not in (*ours, *_NOT_OURS):
        return [f"not an error of the product's: {told}"]
    # A plain OSError is worded by who calls; what the product words itself names the file or its folder.
    if kind not in _NOT_OURS and str(place) not in message:
        return [f"does not name the file: {told}"]
    return []


def _subclasses(kind: type[EmomusicError]) -> list[type[EmomusicError]]:
    return [kind, *(one for direct in kind.__subclasses__() for one in _subclasses(direct))]


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def main(folder: Path, kind: str, share: float, seed: int) -> int:
    """Strike all of them; exit code 77 where strace cannot."""
    logging.disable()
    chance = random.Random(seed)
    for number, thing in enumerate(THINGS):
        try:
            verdict = strike_thing(thing, kind, folder / str(number), share, chance)
        except CannotTraceError as error:
            sys.stdout.write(f"{error}\n")
            return 77
        sys.stdout.write(json.dumps(asdict(verdict)) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="disk-strikes-") as made:
        code = main(Path(made), sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
    sys.exit(code)
