"""The real output: songs streamed from their files, mixed a quarter of a second ahead, into a device's queue.

Ahead, so that a busy interpreter is not heard; and mixed anew from where the device is when a command comes, so that
the command is heard at once and need not wait for the quarter second to pass.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emomusic_edge.errors import AudioError

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


class StreamMixer:
    """The AudioOutput over a SoundSink."""

    def __init__(self, sink: SoundSink, *, patience_s: float = 0.0) -> None:
        """Bind the parts; nothing opens yet.

        Args:
            sink: the device.
            patience_s: how long mixing waits for a song that is not decoded yet; 0 where the sound cannot wait.
        """
        self._sink = sink
        self._patience_s = patience_s
        self._volume = 1.0
        # Guards all that follows and every call of the sink but open and close.
        self._lock = threading.Lock()
        self._mix = Mix.silent(1.0)
        self._blocks: deque[_Block] = deque()
        self._written = 0
        self._streams: list[SongStream] = []
        self._newest: SongStream | None = None
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
        self._thread = threading.Thread(target=self._feed, name="mixer", daemon=True)
        self._thread.start()

    def load(self, path: Path) -> Track:
        """See AudioOutput.load."""
        return Track(duration_s=probe(path), handle=path)

    def crossfade(self, track: Track, *, start_s: float, end_s: float, fade_s: float, gain_db: float) -> None:
        """See AudioOutput.crossfade."""
        if not self._running:
            return
        stream = SongStream(track.handle, start_s=start_s, end_s=end_s, patience_s=self._patience_s)
        frames = max(1, round((end_s - start_s) * SAMPLE_RATE_HZ))
        try:
            stream.wait_filled(min(frames, _FIRST_FRAMES), _FIRST_SOUND_S)
        except AudioError:
            stream.close()
            raise
        fade_frames = round(fade_s * SAMPLE_RATE_HZ)

        def brought_in(mix: Mix) -> Mix:
            return mix.crossfaded(stream, frames=frames, gain_db=gain_db, fade_frames=fade_frames)

        self._change(brought_in, stream)

    def early_end(self) -> EarlyEnd | None:
        """See AudioOutput.early_end."""
        return None if self._newest is None else self._newest.early_end

    def fade_out(self, fade_s: float) -> None:
        """See AudioOutput.fade_out."""
        self._change(lambda mix: mix.faded_out(round(fade_s * SAMPLE_RATE_HZ)))

    def pause(self) -> None:
        """See AudioOutput.pause."""
        self._change(lambda mix: mix.with_pause(True))

    def resume(self) -> None:
        """See AudioOutput.resume."""
        self._change(lambda mix: mix.with_pause(False))

    def set_volume(self, volume: float) -> None:
        """See AudioOutput.set_volume."""
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
        self._newest = None

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
        for _ in range(-(-(AHEAD_FRAMES - queued) // BLOCK_FRAMES)):
            self._blocks.append(_Block(self._mix, self._written))
            self._mix, sound = self._mix.render(BLOCK_FRAMES)
            self._sink.write(to_int16(sound))
            self._written += BLOCK_FRAMES

    def _forget_played(self, played: int) -> None:
        while self._blocks and self._blocks[0].start + BLOCK_FRAMES <= played:
            self._blocks.popleft()
        if len(self._streams) > len(self._mix.voices):
            kept = [self._mix, *(block.mix for block in self._blocks)]
            sounding = {id(voice.source) for mix in kept for voice in mix.voices}
            for stream in [stream for stream in self._streams if id(stream) not in sounding]:
                stream.close()
                self._streams.remove(stream)

    def _change(self, change: Callable[[Mix], Mix], newest: SongStream | None = None) -> None:
        """Change the desk as near to the device's place as time allows, and mix anew what is queued from there."""
        with self._lock:
            if not self._running:
                return
            if newest is not None:
                self._streams.append(newest)
                self._newest = newest
            for margin in (MARGIN_FRAMES, 4 * MARGIN_FRAMES):
                taken = self._written - self._sink.queued()
                later = [block for block in self._blocks if block.start >= taken + margin]
                if not later:
                    break
                mix = change(later[0].mix)
                blocks, sound = [], []
                for block in later:
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
