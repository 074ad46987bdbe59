"""The real output: songs streamed from their files, mixed a quarter of a second ahead, into a device's queue.

Ahead, so that a busy interpreter is not heard; and mixed anew from where the device is when a command comes, so that
the command is heard at once and need not wait for the quarter second to pass.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from emomusic_edge.errors import AudioError
from emomusic_edge.runtime.daemon import started

from .fades import HUSH_FRAMES
from .mix import Mix, to_int16
from .output import SAMPLE_RATE_HZ, EarlyEnd, SoundSink, Track
from .song_stream import SongStream, probe

AHEAD_FRAMES = round(0.25 * SAMPLE_RATE_HZ)
"""How long the interpreter may stand still before there is a gap; a command does not wait for it."""
BLOCK_FRAMES = 512
"""12 ms: the grid on which a command can take effect."""
MARGIN_FRAMES = round(0.02 * SAMPLE_RATE_HZ)
"""How near to the device's place a command may change the sound; mixing the quarter second anew takes a few ms."""

_FIRST_FRAMES = 2 * AHEAD_FRAMES + HUSH_FRAMES
"""Decoded before a song comes in: less would count as late (see Voice) before the decoder is truly ahead."""
_FIRST_SOUND_S = 10.0
"""A disk that slept needs 5 to 10 s until it turns. Only the player's thread waits; what sounds goes on."""
_WAIT_S = 0.05
_CLOSE_S = 0.5
_JOIN_S = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Block:
    """A block that is queued: the desk as it stood before it."""

    mix: Mix
    start: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """A song on its way in.

    Attributes:
        stream: its sound.
        frames: how many of them are to sound.
        fade_frames: how long the fade lasts.
        gain_db: constant over the song.
        at_s: when the stream's first frame is to sound, on the mixer's clock.
        due: the frame of all that is written at which that is.
    """

    stream: SongStream
    frames: int
    fade_frames: int
    gain_db: float
    at_s: float = 0.0
    due: int = 0

    def into(self, mix: Mix, skipped: int = 0) -> Mix:
        """The desk with it, less what it has missed."""
        return mix.crossfaded(
            self.stream, frames=self.frames, gain_db=self.gain_db, fade_frames=self.fade_frames, skipped=skipped
        )


class StreamMixer:
    """The AudioOutput over a SoundSink."""

    def __init__(
        self, sink: SoundSink, *, patience_s: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Bind the parts; nothing opens yet.

        Args:
            sink: the device.
            patience_s: how long mixing waits for a song that is not decoded yet; 0 where the sound cannot wait.
            clock: what songs with an appointed time come in by.
        """
        self._sink = sink
        self._patience_s = patience_s
        self._clock = clock
        self._volume = 1.0
        # Guards all that follows and every call of the sink but open and close.
        self._lock = threading.Lock()
        self._mix = Mix.silent(1.0)
        self._blocks: deque[_Block] = deque()
        self._written = 0
        self._streams: list[SongStream] = []
        self._newest: SongStream | None = None
        self._awaited: _Entry | None = None
        self._running = False
        self._thread: threading.Thread | None = None

    @property
    def mix(self) -> Mix:
        """The desk as it stands at the end of what is queued."""
        return self._mix

    def open(self) -> None:
        """See AudioOutput.open."""
        self._let_go()
        self._sink.open()
        self._mix = Mix.silent(self._volume)
        self._blocks.clear()
        self._written = 0
        self._running = True
        self._thread = started(self._feed, "mixer")
        if self._thread is None:
            raise AudioError("no thread can be made that mixes the sound", mend="the machine is short of memory")

    def load(self, path: Path) -> Track:
        """See AudioOutput.load."""
        return Track(duration_s=probe(path), handle=path)

    def crossfade(
        self, track: Track, *, start_s: float, end_s: float, fade_s: float, gain_db: float, at_s: float | None = None
    ) -> None:
        """See AudioOutput.crossfade. A song with an appointed time comes in with the first block after it."""
        late_s = 0.0 if at_s is None else max(0.0, self._clock() - at_s)
        start_s += late_s
        if not self._running or start_s >= end_s:
            return
        stream = SongStream(track.handle, start_s=start_s, end_s=end_s, patience_s=self._patience_s)
        frames = max(1, round((end_s - start_s) * SAMPLE_RATE_HZ))
        try:
            stream.wait_filled(min(frames, _FIRST_FRAMES), _FIRST_SOUND_S)
        except AudioError:
            stream.close()
            raise
        entry = _Entry(stream, frames, round(fade_s * SAMPLE_RATE_HZ), gain_db)
        with self._lock:
            self._streams.append(stream)
            self._newest = stream
            if at_s is None:
                self._awaited = None
                self._change(entry.into)
                return
            entry = replace(entry, at_s=at_s + late_s)
            self._awaited = replace(entry, due=self._frame_at(entry.at_s))
            if self._awaited.due < self._written:
                self._change(lambda mix: mix)

    def early_end(self) -> EarlyEnd | None:
        """See AudioOutput.early_end."""
        return None if self._newest is None else self._newest.early_end

    def fade_out(self, fade_s: float) -> None:
        """See AudioOutput.fade_out."""
        with self._lock:
            self._awaited = None
            self._change(lambda mix: mix.faded_out(round(fade_s * SAMPLE_RATE_HZ)))

    def pause(self) -> None:
        """See AudioOutput.pause."""
        with self._lock:
            self._change(lambda mix: mix.with_pause(True))

    def resume(self) -> None:
        """See AudioOutput.resume."""
        with self._lock:
            awaited = self._awaited
            if awaited is None or self._mix.has(awaited.stream):
                self._change(lambda mix: mix.with_pause(False))
            else:
                self._awaited = None
                self._change(awaited.into)

    def set_volume(self, volume: float) -> None:
        """See AudioOutput.set_volume."""
        with self._lock:
            self._volume = min(1.0, max(0.0, volume))
            self._change(lambda mix: mix.at_volume(self._volume))

    def alive(self) -> bool:
        """See AudioOutput.alive."""
        with self._lock:
            return self._running and self._sink.alive()

    def close(self) -> None:
        """See AudioOutput.close."""
        if self.alive() and self._mix.voices and not self._mix.still:
            self.pause()
            for _ in range(round(_CLOSE_S / _WAIT_S)):
                with self._lock:
                    played = self._blocks and self._blocks[0].mix.still
                if played or not self._running:
                    break
                self._sink.wait_for_room(0, _WAIT_S)
        self._let_go()

    def _let_go(self) -> None:
        with self._lock:
            self._running = False
        if self._thread is not None:
            self._thread.join(_JOIN_S)
            self._thread = None
        self._sink.close()
        for stream in self._streams:
            stream.close()
        self._streams.clear()
        self._newest = self._awaited = None

    # From here on: under the lock, on the feeding thread or the worker's.

    def _feed(self) -> None:
        try:
            while self._running:
                with self._lock:
                    self._fill()
                self._sink.wait_for_room(AHEAD_FRAMES - 2 * BLOCK_FRAMES, _WAIT_S)
        except AudioError as error:
            logger.warning("%s", error)
        except Exception:
            logger.exception("mixing failed; the audio device is taken anew")
        finally:
            # alive() tells it.
            self._running = False

    def _fill(self) -> None:
        """Queue blocks until the sound reaches AHEAD_FRAMES."""
        queued = self._sink.queued()
        self._forget_played(self._written - queued)
        if self._awaited is not None and self._awaited.due >= self._written:
            # Aimed at anew: the device may have stood still meanwhile.
            self._awaited = replace(self._awaited, due=self._frame_at(self._awaited.at_s))
        for _ in range(-(-(AHEAD_FRAMES - queued) // BLOCK_FRAMES)):
            mix = self._with_awaited(self._mix, self._written)
            self._blocks.append(_Block(mix, self._written))
            self._mix, sound = mix.render(BLOCK_FRAMES)
            self._sink.write(to_int16(sound))
            self._written += BLOCK_FRAMES

    def _frame_at(self, at_s: float) -> int:
        """Which frame of all that is written the device takes at a time."""
        taken = self._written - self._sink.queued()
        return taken + round((at_s - self._clock()) * SAMPLE_RATE_HZ)

    def _with_awaited(self, mix: Mix, start: int) -> Mix:
        """The desk before a block, with the song whose time has come by then."""
        awaited = self._awaited
        if awaited is None or start < awaited.due or mix.paused or mix.has(awaited.stream):
            return mix
        return awaited.into(mix, min(start - awaited.due, awaited.frames))

    def _forget_played(self, played: int) -> None:
        while self._blocks and self._blocks[0].start + BLOCK_FRAMES <= played:
            self._blocks.popleft()
        if self._awaited is not None and self._blocks and self._blocks[0].mix.has(self._awaited.stream):
            self._awaited = None
        if len(self._streams) > len(self._mix.voices):
            kept = [self._mix, *(block.mix for block in self._blocks)]
            sounding = {id(voice.source) for mix in kept for voice in mix.voices}
            if self._awaited is not None:
                sounding.add(id(self._awaited.stream))
            for stream in [stream for stream in self._streams if id(stream) not in sounding]:
                stream.close()
                self._streams.remove(stream)

    def _change(self, change: Callable[[Mix], Mix]) -> None:
        """Change the desk as near to the device's place as time allows, and mix anew what is queued from there."""
        if not self._running:
            return
        for margin in (MARGIN_FRAMES, 4 * MARGIN_FRAMES):
            taken = self._written - self._sink.queued()
            later = [block for block in self._blocks if block.start >= taken + margin]
            if not later:
                break
            mix = change(later[0].mix)
            blocks, sound = [], []
            for block in later:
                mix = self._with_awaited(mix, block.start)
                blocks.append(_Block(mix, block.start))
                mix, samples = mix.render(BLOCK_FRAMES)
                sound.append(to_int16(samples))
            if self._sink.replace_last(np.concatenate(sound)):
                for _ in later:
                    self._blocks.pop()
                self._blocks.extend(blocks)
                self._mix = mix
                return
        # The device was faster than the mixing: behind all that is queued, then.
        self._mix = change(self._mix)
