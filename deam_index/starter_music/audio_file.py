"""The one place that touches soundfile and pyloudnorm: OGG Vorbis files and integrated loudness."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from emomusic_edge.errors import AudioError, MissingExtraError

from .struck_tones import Samples

# libsndfile's Vorbis encoder puts each write on the stack: long ones overflow it.
_WRITE_FRAMES = 1 << 14
# libvorbis quality 0.5, about 100 kbit/s for this music
_COMPRESSION_LEVEL = 0.5


def require() -> None:
    """Raise before any work is done if a package is missing.

    Raises:
        MissingExtraError: names the package.
    """
    _module("soundfile")
    _module("pyloudnorm")


def integrated_loudness(samples: Samples, sample_rate_hz: int) -> float:
    """Integrated loudness by ITU-R BS.1770-4, in LUFS.

    Raises:
        MissingExtraError: pyloudnorm is not installed.
    """
    return float(_module("pyloudnorm").Meter(sample_rate_hz).integrated_loudness(samples))


def write_ogg(path: Path, samples: Samples, sample_rate_hz: int) -> None:
    """Write float32 [n, 2] as OGG Vorbis.

    Raises:
        MissingExtraError: soundfile is not installed.
        AudioError: the file cannot be written, or this libsndfile knows no Vorbis.
    """
    soundfile = _module("soundfile")
    try:
        with soundfile.SoundFile(
            path, "w", sample_rate_hz, 2, format="OGG", subtype="VORBIS", compression_level=_COMPRESSION_LEVEL
        ) as file:
            for start in range(0, len(samples), _WRITE_FRAMES):
                file.write(samples[start : start + _WRITE_FRAMES])
    except (soundfile.LibsndfileError, OSError, ValueError) as cause:
        raise AudioError(f"{path} cannot be written as OGG Vorbis: {cause}.") from cause


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as cause:
        raise MissingExtraError(
            f"Starter music needs the package {name}, which cannot be imported: {cause}.",
            mend="pip install 'emomusic-edge[starter]'",
        ) from cause
