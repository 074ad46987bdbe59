"""One song, decoded a few seconds ahead of where it plays, on a thread of its own."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from emomusic_edge.errors import AudioError
from emomusic_edge.sound_file import SoundReader, open_sound

from .output import SAMPLE_RATE_HZ, EarlyEnd
from .resample import Resampler, to_stereo

AHEAD_S = 4.0
"""A card or network drive that hangs for less is not heard; 1.6 MB a song with what is kept behind."""
BEHIND_S = 0.6
"""What was read stays that long, so that sound which was mixed ahead can be mixed anew."""

_CHUNK_FRAMES = 4096
# Parts of one wait for the first sound: a process that stood still loses one of them, however long it stood.
_WAITS = 10
# A header may promise a little more than there is: an encoder's padding is no damage.
_PADDING_S = 0.5
_MOST_CHANNELS = 8
_EXPECTED = "expected ogg, flac, mp3 or wav"


def probe(path: Path) -> float:
    """The duration in seconds that a file states, once its first sound decoded.

    Raises:
        AudioError: the file is missing, empty or does not decode.
    """
    with _open(path) as file:
        try:
            first = file.read(_CHUNK_FRAMES, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, RuntimeError, OSError) as error:
            raise AudioError(f"{path}: does not decode ({error}); {_EXPECTED}") from error
        if file.frames <= 0 or not len(first):
            raise AudioError(f"{path}: holds no sound; {_EXPECTED}")
        return float(file.frames / file.samplerate)


class SongStream:
    """The SongSource of a file; begins to decode at once. `read` may be asked again for what lies BEHIND_S back."""

    def __init__(self, path: Path, *, start_s: float, end_s: float, patience_s: float = 0.0) -> None:
        """Open the file at start_s and decode ahead, to end_s.

        Args:
            path: the file.
            start_s: where the stretch begins, >= 0.
            end_s: where it ends, > start_s.
            patience_s: how long `read` waits for what is not decoded yet; 0 beside a device, which will not wait.

        Raises:
            AudioError: the file does not open there.
        """
        self._path = path
        self._patience_s = patience_s
        self._wanted = round((end_s - start_s) * SAMPLE_RATE_HZ)
        self._chunk_frames = _CHUNK_FRAMES
        self._ring = np.empty((round((AHEAD_S + BEHIND_S) * SAMPLE_RATE_HZ) + 2 * _CHUNK_FRAMES, 2), np.float32)
        self._changed = threading.Condition()
        self._decoded = 0
        self._read_to = 0
        self._end: int | None = None
        self._early_end: EarlyEnd | None = None
        self._start_s = start_s
        self._closing = False
        file = _open(path)
        try:
            self._left_in_file = round((end_s - start_s) * file.samplerate)
            file.seek_to(round(start_s * file.samplerate))
        except (soundfile.SoundFileError, RuntimeError, OSError) as error:
            file.close()
            raise AudioError(f"{path}: does not decode from {start_s:.1f} s on ({error})") from error
        resampler: Resampler | None = None
        if file.samplerate != SAMPLE_RATE_HZ:
            resampler = Resampler(file.samplerate)
            self._chunk_frames = max(1, _CHUNK_FRAMES * file.samplerate // SAMPLE_RATE_HZ)
        threading.Thread(target=self._decode, args=(file, resampler), name=f"decode {path.name}", daemon=True).start()

    @property
    def end(self) -> int | None:
        """See SongSource.end."""
        return self._end

    @property
    def early_end(self) -> EarlyEnd | None:
        """Where and why the sound ends before it should; None while it does not."""
        return self._early_end

    def wait_filled(self, frames: int, timeout_s: float) -> None:
        """Wait until so much is decoded.

        Raises:
            AudioError: nothing decodes there.
        """
        with self._changed:
            part_s = timeout_s / _WAITS
            for _ in range(_WAITS):
                if self._changed.wait_for(lambda: self._decoded >= frames or self._end is not None, part_s):
                    break
            if not self._decoded:
                damage = "" if self._early_end is None else self._early_end.damage
                raise AudioError(damage or f"{self._path}: nothing decoded within {timeout_s:.0f} s")

    def ready(self, at: int, frames: int) -> int:
        """See SongSource.ready."""
        with self._changed:
            return self._count(at, frames)

    def read(self, at: int, frames: int) -> NDArray[np.float32]:
        """See SongSource.read."""
        with self._changed:
            count = self._count(at, frames)
            first = at % len(self._ring)
            head = min(count, len(self._ring) - first)
            out = np.empty((count, 2), np.float32)
            out[:head] = self._ring[first : first + head]
            out[head:] = self._ring[: count - head]
            if at + count > self._read_to:
                self._read_to = at + count
                self._changed.notify_all()
            return out

    def _count(self, at: int, frames: int) -> int:
        if self._patience_s:
            self._changed.wait_for(
                lambda: self._decoded >= at + frames or self._end is not None or self._closing, self._patience_s
            )
        return min(frames, max(0, self._decoded - at))

    def close(self) -> None:
        """Stop decoding; the file closes a moment later."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    # From here on: the decoding thread.

    def _decode(self, file: SoundReader, resampler: Resampler | None) -> None:
        damage = ""
        try:
            with file:
                while self._has_room() and self._left_in_file > 0:
                    chunk = file.read(min(self._chunk_frames, self._left_in_file), dtype="float32", always_2d=True)
                    self._left_in_file -= len(chunk)
                    # A float file may hold anything; one such number would silence a converter for good.
                    np.nan_to_num(chunk, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
                    last = self._left_in_file == 0 or not len(chunk)
                    stereo = to_stereo(chunk)
                    self._append(stereo if resampler is None else resampler.convert(stereo, last=last))
                    if not len(chunk):
                        break
        except Exception as error:  # noqa: BLE001 - whatever it is: a thread that died unheard would leave silence
            damage = (
                f"{self._path}: does not decode past {self._start_s + self._decoded / SAMPLE_RATE_HZ:.1f} s ({error})"
            )
        with self._changed:
            missing = self._wanted - self._decoded
            if not self._closing and (damage or missing > _PADDING_S * SAMPLE_RATE_HZ):
                self._early_end = EarlyEnd(self._start_s + self._decoded / SAMPLE_RATE_HZ, damage)
            self._end = self._decoded
            self._changed.notify_all()

    def _has_room(self) -> bool:
        most = len(self._ring) - round(BEHIND_S * SAMPLE_RATE_HZ) - 2 * _CHUNK_FRAMES
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._decoded - self._read_to < most)
            return not self._closing

    def _append(self, samples: NDArray[np.float32]) -> None:
        with self._changed:
            for part in np.array_split(samples, 1 + len(samples) // _CHUNK_FRAMES):
                first = self._decoded % len(self._ring)
                head = min(len(part), len(self._ring) - first)
                self._ring[first : first + head] = part[:head]
                self._ring[: len(part) - head] = part[head:]
                self._decoded += len(part)
            self._changed.notify_all()


def _open(path: Path) -> SoundReader:
    # Asked first because opening a folder or a pipe would fail without a word or wait for ever.
    if not path.is_file():
        raise AudioError(f"{path}: not found, or not a file; expected an audio file (ogg, flac, mp3, wav)")
    try:
        file = open_sound(path)
    except (soundfile.SoundFileError, RuntimeError, OSError, TypeError) as error:
        raise AudioError(f"{path}: does not decode ({error}); {_EXPECTED}") from error
    if not 1 <= file.channels <= _MOST_CHANNELS:
        file.close()
        raise AudioError(f"{path}: has {file.channels} channels; expected 1 to {_MOST_CHANNELS}")
    return file
