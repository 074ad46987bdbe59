"""A run of the whole program that leaks tells so in its health, with what to do, and plays on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from faulty import eventually, housed

from emomusic_edge.paths import DataLayout

SETTLES_S = 1.0


@pytest.mark.broker
def test_a_leak_is_told_in_health_while_the_music_plays_on(starter_layout: DataLayout, tmp_path: Path) -> None:
    with housed(tmp_path, starter_layout) as house:
        run = house.run(before=[f"settles_s={SETTLES_S}"])
        try:
            run.playing()
            before = house.count("health")

            def memory() -> list[str]:
                reasons = [one["reasons"] for one in house.told("health", before)]
                return [str(told["memory"]) for told in reasons if isinstance(told, dict) and "memory" in told]

            # It told states, so it has looked by now: from here on this is past the time in which it settles.
            time.sleep(1.5 * SETTLES_S)
            run.states(1)
            assert not memory()
            run.order(leak_mb=120)
            eventually(lambda: run.over() or memory(), "its memory to be told")
            assert "holds over 100 MB more" in memory()[0]
            assert "restart it" in memory()[0]
            run.sounds(0.5)
        finally:
            run.kill()
