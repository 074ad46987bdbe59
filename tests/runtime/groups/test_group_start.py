"""Two processes of one group with a real mosquitto: the same songs, in step."""

from __future__ import annotations

from pathlib import Path

import pytest
from broker import Broker
from group_start import measure

MOST_APART_MS = 150.0


@pytest.mark.broker
def test_two_processes_start_the_same_songs_within_150_ms_of_each_other(broker: Broker, tmp_path: Path) -> None:
    """Told from where the songs lie in what each device took; how long anything took here is not asked."""
    found = measure(broker.port, tmp_path, starts=4)
    assert {start.by for start in found} == {"end", "leader", "follower"}
    for start in found:
        assert abs(start.in_step_ms) < MOST_APART_MS, start
        assert abs(start.first_sound_ms) < MOST_APART_MS, start
