"""Songs that are damaged, gone, or go while they play, and a folder that goes and comes back: the music goes on.

The short run does each once; `pytest -m faults -s` twenty times each, and prints the rows of docs/reliability.md. A
folder goes by being renamed: what is open stays open, as under a drive that is let go lazily.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fault_figures import REPETITIONS, chance, p95, tell, wait_for
from fault_files import Spoil, cut, fill_with_noise, remove
from song_rig import SongRig

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.paths import DataLayout

GOAL_S = 10.0
SONGS = 16
SPOILED = 4
_ABREAST = 10
"""Rigs that play at once: they mostly wait."""

Strike = Callable[[SongRig, random.Random], float]
"""Does a fault; the longest silence that was heard for it, in seconds."""


def another_plays(rig: SongRig, but: Path | None = None) -> float:
    return wait_for(lambda: rig.playing() not in (None, but), "a song")


def fourth_of_songs(rig: SongRig, dice: random.Random, spoil: Spoil) -> float:
    """Each fourth song is spoiled, and three songs are asked for."""
    now = rig.playing()
    for song in dice.sample([song for song in rig.files if song != now], SPOILED):
        spoil(song, dice)
    began_s = time.monotonic()
    for _ in range(3):
        before = rig.playing()
        rig.music.skip()
        another_plays(rig, before)
    return rig.ear.silence_s(began_s, time.monotonic())


def while_it_plays(rig: SongRig, dice: random.Random, share: float) -> float:
    """What plays is cut to a share of where it stands."""
    now = rig.playing()
    assert now is not None
    began_s = time.monotonic()
    os.truncate(now, int(now.stat().st_size * share))
    another_plays(rig, now)
    return rig.ear.silence_s(began_s, time.monotonic())


def folder_away(rig: SongRig, dice: random.Random) -> float:
    """All songs go, for up to `rig.away_s`; a new one is asked for meanwhile, so that silence falls."""
    away = rig.folder.with_name(f"{rig.folder.name} away")
    rig.folder.rename(away)
    rig.music.skip()
    wait_for(lambda: rig.state is not None and "no song could be played" in rig.state.reason, "silence to be told")
    time.sleep(dice.uniform(0.0, rig.away_s))
    back_s = time.monotonic()
    away.rename(rig.folder)
    return another_plays(rig) - back_s


KINDS: dict[str, tuple[int, Strike]] = {
    "songs truncated": (SONGS, lambda rig, dice: fourth_of_songs(rig, dice, cut)),
    "songs missing": (SONGS, lambda rig, dice: fourth_of_songs(rig, dice, remove)),
    "songs undecodable": (SONGS, lambda rig, dice: fourth_of_songs(rig, dice, fill_with_noise)),
    "song emptied while it plays": (SONGS, lambda rig, dice: while_it_plays(rig, dice, 0.0)),
    "song cut while it plays": (SONGS, lambda rig, dice: while_it_plays(rig, dice, dice.uniform(0.0, 0.2))),
    "folder away and back": (SONGS, folder_away),
    "folder of two songs away and back": (2, folder_away),
}


def strike(layout: DataLayout, folder: Path, kind: str, number: int, *, away_s: float = 12.0) -> float:
    dice = chance(kind, number)
    songs, fault = KINDS[kind]
    mood = ValenceArousal(dice.uniform(-2.5, 2.5), dice.uniform(0.5, 5.5))
    rig = SongRig(layout, folder / f"{kind} {number}", songs, mood)
    rig.away_s = away_s
    rig.start()
    try:
        another_plays(rig)
        return fault(rig, dice)
    finally:
        rig.stop()


def test_the_music_goes_on(starter_layout: DataLayout, tmp_path: Path) -> None:
    # Abreast, since each plays in real time.
    kinds = [kind for kind in KINDS if kind not in ("songs missing", "folder away and back")]
    with ThreadPoolExecutor(len(kinds)) as pool:
        list(pool.map(lambda kind: strike(starter_layout, tmp_path, kind, 0, away_s=1.0), kinds))


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_times_the_music_goes_on(starter_layout: DataLayout, tmp_path: Path, kind: str) -> None:
    with ThreadPoolExecutor(_ABREAST) as pool:
        silences = list(pool.map(lambda n: strike(starter_layout, tmp_path, kind, n), range(REPETITIONS)))
    tell(kind, silences)
    assert p95(silences) <= GOAL_S
