"""Audio files with a tone in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def write_tone(
    path: Path,
    seconds: float = 1.0,
    *,
    amplitude: float = 0.1,
    hz: float = 997.0,
    rate_hz: int = 8000,
    channels: int = 1,
) -> Path:
    """A sine in all channels, as the suffix says (.flac, .ogg, .wav)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    tone = amplitude * np.sin(2 * np.pi * hz * times_s)
    soundfile.write(path, np.tile(tone[:, None], (1, channels)), rate_hz)
    return path
