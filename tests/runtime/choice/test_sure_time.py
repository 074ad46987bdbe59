"""How much of a song's time the feeling was sure."""

from __future__ import annotations

import numpy as np
import pytest

from emomusic_edge.runtime.choice.sure_time import CARRIED_S, SureTime


def after(stretches: list[tuple[bool | None, float]], *, step_s: float = 0.1) -> SureTime:
    """Told with each step of `step_s`, as the loop does; the last stretch ends with a song's start."""
    time = SureTime()
    now_s = 0.0
    for sure, lasting_s in stretches:
        for _ in range(round(lasting_s / step_s)):
            time.note(sure, now_s)
            now_s += step_s
    time.note(None, now_s)
    time.song_started()
    return time


@pytest.mark.parametrize("step_s", [0.04, 0.5])
def test_the_last_five_seconds_count_on_and_nothing_before_them(step_s: float) -> None:
    """A song of a minute that was sure but for its last seconds, and the other way round."""
    assert CARRIED_S == 5.0
    assert after([(True, 60.0), (False, 6.0)], step_s=step_s).share == 0.0
    assert after([(False, 60.0), (True, 6.0)], step_s=step_s).share == 1.0
    assert after([(True, 60.0), (False, 3.0), (None, 40.0)], step_s=step_s).share == pytest.approx(0.4)


def test_two_short_songs_carry_the_same_seconds_on() -> None:
    time = after([(True, 30.0), (False, 2.0)])
    time.note(True, 100.0)
    time.note(None, 101.0)
    assert time.share == pytest.approx(4.0 / 6.0)
    time.song_started()
    assert time.share == pytest.approx(3.0 / 5.0)


def test_it_agrees_with_a_plain_account() -> None:
    rng = np.random.default_rng(0)
    time, told, song_at, now_s = SureTime(), [], 0, 0.0
    for _ in range(2000):
        sure = bool(rng.random() < 0.5)
        lasting_s = float(rng.uniform(0.01, 0.8))
        time.note(sure, now_s)
        now_s += lasting_s
        time.note(None, now_s)
        told.append((sure, lasting_s))
        ends_s = np.cumsum([lasting_s for _, lasting_s in told])
        carried_from_s = ends_s[song_at - 1] - CARRIED_S if song_at else 0.0
        counted = np.minimum(ends_s - carried_from_s, [lasting_s for _, lasting_s in told]).clip(0)
        assert time.share == pytest.approx(counted[[sure for sure, _ in told]].sum() / counted.sum())
        if rng.random() < 0.05:
            time.song_started()
            song_at = len(told)
