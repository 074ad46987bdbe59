"""The queue of samples below the mixer: one contract for SDL's (with its dummy driver) and the one of tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from offline_sink import OfflineSink
from sounds import judged

from emomusic_edge.errors import AudioError
from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ, SoundSink
from emomusic_edge.runtime.audio.sdl import SdlSink


@dataclass
class SinkRig:
    sink: SoundSink
    play_some: Callable[[], object]
    unplug: Callable[[], None]


@pytest.fixture(params=["sdl", "offline"])
def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[SinkRig]:
    if request.param == "sdl":
        monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
        made = SinkRig(
            SdlSink(), lambda: time.sleep(0.05), lambda: monkeypatch.setenv("SDL_AUDIODRIVER", "nonexistent")
        )
    else:
        offline = OfflineSink()
        made = SinkRig(offline, lambda: offline.take(1024), lambda: setattr(offline, "present", False))
    yield made
    made.sink.close()


def ramp(frames: int, first: int = 0) -> NDArray[np.int16]:
    return np.repeat(np.arange(first, first + frames, dtype=np.int16)[:, None], 2, axis=1)


def test_a_sink_lives_from_open_to_close(rig: SinkRig) -> None:
    rig.sink.close()
    assert not rig.sink.alive()
    assert rig.sink.queued() == 0
    for _ in range(2):
        rig.sink.open()
        assert rig.sink.alive()
        assert rig.sink.queued() == 0
        rig.sink.write(ramp(20_000))
    rig.sink.close()
    assert not rig.sink.alive()
    rig.unplug()
    with pytest.raises(AudioError, match="no audio device answers"):
        rig.sink.open()


def test_what_is_queued_is_taken(rig: SinkRig) -> None:
    rig.sink.open()
    rig.sink.write(ramp(20_000))
    assert 0 < rig.sink.queued() <= 20_000
    before = rig.sink.queued()
    deadline_s = time.monotonic() + 20
    while rig.sink.queued() == before:
        assert time.monotonic() < deadline_s
        rig.play_some()
    assert rig.sink.queued() < before


def test_the_end_of_the_queue_can_be_replaced_while_it_is_not_taken(rig: SinkRig) -> None:
    rig.sink.open()
    rig.sink.write(ramp(3 * SAMPLE_RATE_HZ % 30_000 + 20_000))
    assert rig.sink.replace_last(ramp(1000))
    assert not rig.sink.replace_last(ramp(30_000 * 5))
    assert rig.sink.queued() > 1000


def test_waiting_for_room_ends(rig: SinkRig) -> None:
    rig.sink.open()
    rig.sink.write(ramp(30_000))
    rig.sink.wait_for_room(30_000, 5.0)
    rig.sink.wait_for_room(0, 0.01)


def test_sdl_plays_each_sample_once_and_in_order_also_when_the_end_is_replaced(tmp_path: Path) -> None:
    script = """
import time
import numpy as np
from emomusic_edge.runtime.audio.sdl import SdlSink
sink = SdlSink()
sink.open()
# 16 bits hold no index that lasts: the second channel counts thousands.
index = np.arange(1, 88_201)
samples = np.column_stack([index % 1000, index // 1000]).astype(np.int16)
written = 0
replaced = 0
while written < len(samples):
    if sink.queued() < 9000:
        block = samples[written : written + 441]
        sink.write(-block)  # wrong on purpose
        written += len(block)
        replaced += sink.replace_last(block)
    else:
        time.sleep(0.01)
while sink.queued():
    time.sleep(0.01)
time.sleep(0.1)
sink.close()
assert replaced == 200, replaced
"""

    def judge(recorded: NDArray[np.float64]) -> None:
        heard = np.rint(recorded * 32768).astype(int)
        index = heard[:, 0] + 1000 * heard[:, 1]
        sounding = index[np.flatnonzero(index)[0] : np.flatnonzero(index)[-1] + 1]
        # An underrun would show as zeros; a block that was taken before it was replaced, as a negative number.
        assert np.array_equal(sounding, np.arange(1, 88_201))

    judged(script, tmp_path, judge)
