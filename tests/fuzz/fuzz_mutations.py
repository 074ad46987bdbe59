"""Good inputs made strange, from a seed: single bytes, splices, words, numbers; in a zip also its members."""

from __future__ import annotations

import contextlib
import functools
import io
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence

from fuzz_targets import Target, repacked

_MAX_BYTES = 256 * 1024
_NUMBERS = (0, 1, -1, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63))
_Change = Callable[[random.Random, bytearray, Sequence[bytes], Sequence[bytes]], None]


def mutated(target: Target, good: Sequence[bytes], draw: random.Random) -> bytes:
    """One strange input."""
    data = draw.choice(good)
    if data[:2] == b"PK" and draw.random() < 0.7:
        # One that is broken already cannot be taken apart; it is changed as it stands.
        with contextlib.suppress(zipfile.BadZipFile, RuntimeError, ValueError, OSError, EOFError, zlib.error):
            data = _with_a_changed_member(data, target, good, draw)
            if draw.random() < 0.8:
                return data
    return _several(data, target, good, draw)


def _with_a_changed_member(data: bytes, target: Target, good: Sequence[bytes], draw: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
    if not names:
        return data
    # What tells the rest how to be read is the most rewarding to change.
    telling = [name for name in names if name.endswith(("data.pkl", "header.npy"))] or names
    member = draw.choice(telling if draw.random() < 0.6 else names)
    change = functools.partial(_several, target=target, good=good, draw=draw)
    with warnings.catch_warnings():
        # A name that stands twice is a warning of zipfile's writer.
        warnings.simplefilter("ignore")
        return repacked(data, member, change, deflate=draw.random() < 0.1)


def _several(data: bytes, target: Target, good: Sequence[bytes], draw: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 8))):
        draw.choice(_CHANGES)(draw, made, good, target.words)
    return bytes(made[:_MAX_BYTES])


def _flip(draw: random.Random, made: bytearray, *_: Sequence[bytes]) -> None:
    if made:
        made[draw.randrange(len(made))] ^= 1 << draw.randrange(8)


def _byte(draw: random.Random, made: bytearray, *_: Sequence[bytes]) -> None:
    made.insert(draw.randint(0, len(made)), draw.randrange(256))


def _cut(draw: random.Random, made: bytearray, *_: Sequence[bytes]) -> None:
    del made[draw.randint(0, len(made)) :]


def _drop(draw: random.Random, made: bytearray, *_: Sequence[bytes]) -> None:
    begin = draw.randint(0, len(made))
    del made[begin : begin + draw.choice((1, 2, 8, 64, 512))]


def _double(draw: random.Random, made: bytearray, *_: Sequence[bytes]) -> None:
    begin = draw.randint(0, len(made))
    part = bytes(made[begin : begin + draw.choice((1, 8, 64, 512))])
    made[begin:begin] = part * draw.choice((1, 1, 2, 40))


def _word(draw: random.Random, made: bytearray, _: Sequence[bytes], words: Sequence[bytes]) -> None:
    begin = draw.randint(0, len(made))
    word = draw.choice(words) * draw.choice((1, 1, 1, 30))
    made[begin : begin + draw.choice((0, len(word)))] = word


def _number(draw: random.Random, made: bytearray, *_: Sequence[bytes]) -> None:
    form, value = draw.choice(("<b", "<h", "<i", "<q", ">i")), draw.choice(_NUMBERS)
    width = struct.calcsize(form)
    if len(made) >= width:
        begin = draw.randint(0, len(made) - width)
        made[begin : begin + width] = (value & (256**width - 1)).to_bytes(width, "little")


def _digits(draw: random.Random, made: bytearray, *_: Sequence[bytes]) -> None:
    places = [place for place, byte in enumerate(made[:4096]) if chr(byte).isdigit()]
    if places:
        place = draw.choice(places)
        made[place : place + 1] = draw.choice(
            (b"0", b"-1", b"99999999999999999999", b"1e400", b"0.5", b"", b"7" * 5000)
        )


def _splice(draw: random.Random, made: bytearray, good: Sequence[bytes], _: Sequence[bytes]) -> None:
    other = draw.choice(good)
    begin = draw.randint(0, len(other))
    place = draw.randint(0, len(made))
    made[place:place] = other[begin : begin + draw.choice((16, 256, 4096))]


_CHANGES: tuple[_Change, ...] = (_flip, _flip, _byte, _cut, _drop, _double, _word, _word, _number, _digits, _splice)
