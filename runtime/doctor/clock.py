"""Whether the wall clock can be believed: certificates are judged by it. The music keeps time by another one."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import emomusic_edge

from .finding import About, Finding
from .setup import Setup

# adjtimex(2): with no mode bit set nothing is changed, and anyone may ask.
_STATUS_OFFSET_BYTES = 5 * ctypes.sizeof(ctypes.c_long)
_TIMEX_BYTES = 512
_UNSYNCHRONISED = 0x0040
_DAY_S = 86_400.0
_SET_NTP = "sudo timedatectl set-ntp true"
# systemd's own test of whether it runs the machine, sd_booted(3): timedatectl asks it.
_BOOTED = Path("/run/systemd/system")

_about = About("clock")


def synchronised() -> bool | None:
    """Whether the kernel's clock follows another one; None where it does not say."""
    # struct timex: modes and its padding, offset, freq, maxerror, esterror as long each, then status.
    answer = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        if ctypes.CDLL(None).adjtimex(answer) < 0:
            return None
    except (OSError, AttributeError):
        return None
    status = ctypes.c_int.from_buffer_copy(answer.raw, _STATUS_OFFSET_BYTES).value
    return not status & _UNSYNCHRONISED


def installed_at_s() -> float:
    """When this program's files were written, in seconds since 1970: no clock that is right shows less."""
    return Path(emomusic_edge.__file__).stat().st_mtime


def look(
    setup: Setup,
    *,
    now_s: Callable[[], float] = time.time,
    installed_s: Callable[[], float] = installed_at_s,
    follows: Callable[[], bool | None] = synchronised,
) -> Iterator[Finding]:
    """The date, and whether a time server keeps it.

    Args:
        setup: whether certificates are judged at all.
        now_s: the wall clock, seconds since 1970.
        installed_s: a moment that is certainly past.
        follows: whether the clock is synchronised.
    """
    now, past = now_s(), installed_s()
    shown = _date(now)
    encrypted = setup.settings.mqtt.enabled and setup.settings.mqtt.encrypted
    harm = "the broker's certificate is then refused" if encrypted else "logs then carry wrong dates"
    # A day of grace: file times of an image that was made in another time zone.
    if now < past - _DAY_S:
        yield _about.problem(
            "date",
            f"the clock shows {shown}, and this program was installed on {_date(past)}",
            meaning=f"It is wrong; {harm}.",
            mend=f"{_SET_NTP}   (without a network: sudo date -s '2026-01-31 20:15')",
            at=shown,
        )
        return
    match follows():
        case False:
            yield _about.warning(
                "date",
                f"{shown}, kept by no time server",
                meaning=f"A board without a battery may wake in the past after a power cut; {harm}.",
                mend=_SET_NTP if _BOOTED.is_dir() else "Have a time server set it: for a container, on its host",
                at=shown,
                synchronised=False,
            )
        case True:
            yield _about.ok("date", f"{shown}, kept by a time server", at=shown, synchronised=True)
        case None:
            yield _about.ok("date", shown, at=shown, synchronised=None)


def _date(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
