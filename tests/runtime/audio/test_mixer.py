"""The output: one contract for the real one, the offline one and the fake."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_mixer import FakeMixer
from offline_sink import OfflineSink
from sounds import FORMATS, chirp, write

from emomusic_edge.errors import AudioError
from emomusic_edge.runtime.audio.mixer import StreamMixer
from emomusic_edge.runtime.audio.output import AudioOutput
from emomusic_edge.runtime.audio.sdl import SdlSink


@dataclass
class Rig:
    """An output and how to tell what sounds of it."""

    output: AudioOutput
    sounding: Callable[[], int]
    unplug: Callable[[], None]
    plug_in: Callable[[], None]
    let_fades_end: Callable[[], None]

    def wait_for_sounding(self, count: int) -> None:
        deadline_s = time.monotonic() + 20
        while self.sounding() != count:
            assert time.monotonic() < deadline_s, f"{self.sounding()} tracks sound, expected {count}"
            self.let_fades_end()
            time.sleep(0.01)


def _sdl_rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    mixer = StreamMixer(SdlSink())
    return Rig(
        mixer,
        lambda: len(mixer.mix.voices),
        lambda: monkeypatch.setenv("SDL_AUDIODRIVER", "nonexistent"),
        lambda: monkeypatch.setenv("SDL_AUDIODRIVER", "dummy"),
        lambda: None,
    )


def _offline_rig() -> Rig:
    sink = OfflineSink()
    mixer = StreamMixer(sink, patience_s=20.0)

    def let_fades_end() -> None:
        sink.take(4410)

    return Rig(
        mixer,
        lambda: len(mixer.mix.voices),
        lambda: setattr(sink, "present", False),
        lambda: setattr(sink, "present", True),
        let_fades_end,
    )


def _fake_rig() -> Rig:
    def duration_of(path: Path) -> float:
        try:
            seconds = float(soundfile.info(path).duration)
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{path}: {error}") from error
        if seconds == 0:
            raise AudioError(f"{path}: holds no sound")
        return seconds

    fake = FakeMixer(duration_of)
    return Rig(
        fake,
        lambda: len(fake.scene.voices),
        lambda: setattr(fake, "present", False),
        lambda: setattr(fake, "present", True),
        fake.let_fades_end,
    )


@pytest.fixture(params=["sdl", "offline", "fake"])
def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    rigs = {"sdl": lambda: _sdl_rig(monkeypatch), "offline": _offline_rig, "fake": _fake_rig}
    made: Rig = rigs[request.param]()
    yield made
    made.output.close()


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("songs")
    return {ending: write(folder / f"song.{ending}", chirp(8.0)) for ending in FORMATS}


def test_lives_from_open_to_close(rig: Rig) -> None:
    assert not rig.output.alive()
    rig.output.close()
    rig.output.open()
    assert rig.output.alive()
    rig.output.open()
    assert rig.output.alive()
    rig.output.close()
    assert not rig.output.alive()
    rig.output.open()
    assert rig.output.alive()


def test_an_output_without_device_says_so_and_opens_when_asked_again(rig: Rig) -> None:
    rig.unplug()
    with pytest.raises(AudioError, match="no audio device answers"):
        rig.output.open()
    assert not rig.output.alive()
    rig.plug_in()
    rig.output.open()
    assert rig.output.alive()


@pytest.mark.parametrize("ending", FORMATS)
def test_a_track_tells_its_duration(rig: Rig, songs: dict[str, Path], ending: str) -> None:
    rig.output.open()
    # An mp3 encoder pads to whole frames of 26 ms, at both ends.
    assert rig.output.load(songs[ending]).duration_s == pytest.approx(8.0, abs=0.08)


@pytest.mark.parametrize("kind", ["missing", "empty", "garbage", "text", "no samples", "folder"])
def test_a_file_that_does_not_decode_is_an_audio_error(rig: Rig, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "song.ogg"
    if kind == "empty":
        path.touch()
    elif kind == "garbage":
        path.write_bytes(np.random.default_rng(1).bytes(20_000))
    elif kind == "text":
        path.write_text("this is not music\n" * 50)
    elif kind == "no samples":
        path = write(tmp_path / "song.wav", np.zeros(0))
    elif kind == "folder":
        path.mkdir()
    rig.output.open()
    with pytest.raises(AudioError) as caught:
        rig.output.load(path)
    assert str(path) in str(caught.value)


def test_after_a_crossfade_one_track_sounds_and_after_a_fade_none(rig: Rig, songs: dict[str, Path]) -> None:
    output = rig.output
    output.open()
    output.crossfade(output.load(songs["wav"]), start_s=0.0, end_s=8.0, fade_s=0.1, gain_db=0.0)
    rig.wait_for_sounding(1)
    output.crossfade(output.load(songs["flac"]), start_s=1.0, end_s=8.0, fade_s=0.1, gain_db=-3.0)
    assert rig.sounding() <= 2
    rig.wait_for_sounding(1)
    assert output.early_end() is None
    # Three in a row, faster than their fades.
    for start_s in (1.0, 2.0, 3.0):
        output.crossfade(output.load(songs["wav"]), start_s=start_s, end_s=8.0, fade_s=0.5, gain_db=0.0)
        assert rig.sounding() >= 1
    rig.wait_for_sounding(1)
    output.fade_out(0.1)
    rig.wait_for_sounding(0)


def test_what_stood_paused_is_dropped_by_a_new_track_and_by_a_fade(rig: Rig, songs: dict[str, Path]) -> None:
    output = rig.output
    output.open()
    track = output.load(songs["wav"])
    output.crossfade(track, start_s=0.0, end_s=8.0, fade_s=0.1, gain_db=0.0)
    output.pause()
    output.pause()
    assert rig.sounding() == 1
    output.crossfade(track, start_s=1.0, end_s=8.0, fade_s=0.1, gain_db=0.0)
    rig.wait_for_sounding(1)
    output.pause()
    output.fade_out(0.1)
    rig.wait_for_sounding(0)
    output.resume()
    # Mixed anew from what is already with the device: the end of the fade comes again.
    rig.wait_for_sounding(0)


def test_a_track_with_an_appointed_time_sounds_then_or_not_at_all_if_it_is_over(
    rig: Rig, songs: dict[str, Path]
) -> None:
    output = rig.output
    output.open()
    track = output.load(songs["wav"])
    output.crossfade(track, start_s=0.0, end_s=8.0, fade_s=0.1, gain_db=0.0, at_s=time.monotonic() - 100.0)
    assert rig.sounding() == 0
    output.crossfade(track, start_s=0.0, end_s=8.0, fade_s=0.1, gain_db=0.0, at_s=time.monotonic() + 0.3)
    rig.wait_for_sounding(1)
    output.fade_out(0.1)
    rig.wait_for_sounding(0)


def test_calls_are_harmless_when_nothing_sounds(rig: Rig) -> None:
    rig.output.open()
    rig.output.resume()
    rig.output.fade_out(1.0)
    rig.output.set_volume(0.3)
    rig.output.pause()
    rig.output.fade_out(1.0)
    rig.output.resume()
    assert rig.sounding() == 0
    assert rig.output.alive()
