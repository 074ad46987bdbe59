"""The sound: does a device take what is played, which one, and which cards there are."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from emomusic_edge.errors import AudioError
from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ, SoundSink
from emomusic_edge.runtime.audio.sdl import SdlSink
from emomusic_edge.runtime.audio.system import loaded_library

from .finding import About, Finding
from .processes import Process, runs
from .setup import Setup
from .system import join_group, text_of

# SDL's drivers that make no sound.
_SILENT = ("dummy", "disk")
_SILENCE_S = 0.1
_TAKEN_WITHIN_S = 3.0

_about = About("audio")


def current_driver() -> str | None:
    """What SDL plays through, once a device is open: `pulseaudio`, `alsa`, `pipewire`; None where it does not say."""
    path = loaded_library("libSDL2-")
    if path is None:
        return None
    try:
        ask = ctypes.PyDLL(path).SDL_GetCurrentAudioDriver
    except (OSError, AttributeError):
        return None
    ask.restype = ctypes.c_char_p
    told: bytes | None = ask()
    return None if told is None else told.decode(errors="replace")


def look(
    setup: Setup,
    *,
    sink_of: Callable[[], SoundSink] = SdlSink,
    driver: Callable[[], str | None] = current_driver,
    running: Callable[[], Sequence[Process]] = runs,
    root: Path = Path("/"),
) -> Iterator[Finding]:
    """Open the device, have it play a tenth of a second of silence, and let go of it.

    Args:
        setup: whether sound is wished for.
        sink_of: makes the output.
        driver: what it plays through.
        running: the runs of this program, one of which may have the device for itself.
        root: where `proc` lies.
    """
    cards = _cards(text_of(root / "proc/asound/cards") or "")
    shown = ", ".join(cards) or "none"
    if setup.settings.player.muted:
        yield _about.ok("device", f"player.muted is set: no sound is made. Sound cards: {shown}", cards=cards)
        return
    sink = sink_of()
    try:
        with contextlib.closing(sink):
            sink.open()
            name = driver()
            sink.write(np.zeros((int(_SILENCE_S * SAMPLE_RATE_HZ), 2), np.int16))
            sink.wait_for_room(0, _TAKEN_WITHIN_S)
            alive = sink.alive()
    except AudioError as error:
        if cards and (ours := running()):
            found = f"the device is in the hands of a run of this program (process {ours[0].pid}). Sound cards: {shown}"
            yield _about.ok("device", found, cards=cards)
            return
        yield _about.problem(
            "device",
            f"{str(error).rstrip('.')}. Sound cards: {shown}",
            meaning="A run goes on without sound, and looks for a device again and again.",
            mend=_mend(cards),
            cards=cards,
        )
        return
    if name in _SILENT:
        yield _about.warning(
            "device",
            f"sound goes to SDL's driver {name!r}, which makes none",
            meaning="Nothing is heard.",
            mend="unset SDL_AUDIODRIVER",
            driver=name,
            cards=cards,
        )
    elif not alive:
        yield _about.problem(
            "device",
            f"the device opens through {name}, but takes no sound. Sound cards: {shown}",
            meaning="A sound server that hangs, or a card that another program keeps for itself.",
            mend="`fuser -v /dev/snd/*` tells who has the card; restart the sound server",
            driver=name,
            cards=cards,
        )
    else:
        yield _about.ok("device", f"sound plays through {name}. Sound cards: {shown}", driver=name, cards=cards)


def _cards(told: str) -> list[str]:
    """The long names in /proc/asound/cards."""
    return re.findall(r"^ *\d+ \[.*?\]: .* - (.+)$", told, flags=re.MULTILINE)


def _mend(cards: list[str]) -> str:
    if not cards:
        return "Plug in a speaker or a USB sound card (`aplay -l` lists them), or set player.muted = true"
    folder = Path("/dev/snd")
    if folder.is_dir() and not any(os.access(node, os.W_OK) for node in folder.iterdir() if node.is_char_device()):
        return join_group("audio")
    return "Make `speaker-test -c 2 -t wav -l 1` heard first; `fuser -v /dev/snd/*` tells who has the card"
