"""What befalls a file: bytes that flip, an end that is cut off, a file that is gone, emptied or filled with noise."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

Spoil = Callable[[Path, random.Random], None]


def flip(path: Path, chance: random.Random) -> None:
    """Turn 1 to 16 bits over, anywhere."""
    content = bytearray(path.read_bytes())
    # places of their own: one bit turned twice would leave the file as it was
    for place in chance.sample(range(8 * len(content)), chance.randint(1, 16)):
        content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)


def cut(path: Path, chance: random.Random) -> None:
    """Leave a share of it, at least nothing."""
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])


def remove(path: Path, chance: random.Random) -> None:
    """It is gone."""
    path.unlink()


def fill_with_noise(path: Path, chance: random.Random) -> None:
    """As long as it was, of random bytes."""
    path.write_bytes(chance.randbytes(path.stat().st_size))


SPOILS: dict[str, Spoil] = {"corrupt": flip, "truncated": cut, "missing": remove}
