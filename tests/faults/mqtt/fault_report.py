"""What a run of many faults comes to: a line for each, a table by kind, and verdicts. Pure: no clock, no process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from soak_figures import first_and_last, growth_mb

RIGHT_BOUND_S = 5.0
"""From the reconnect until the broker keeps the right state."""
HALF_OPEN_BOUND_S = 25.0
"""The same from the moment a line died unseen."""
GROWTH_BOUND_MB = 5.0
STEP_GAP_BOUND_MS = 1000.0
"""Between two steps of a loop at ten frames a second: a machine that is busy with other things may take its time."""
WARM_UP = 20
"""Faults before memory counts."""


@dataclass(frozen=True)
class Struck:
    """One fault and what came after it.

    Attributes:
        kind, note: which, and how it was done.
        half_open: whether the device could only learn of it by silence.
        reconnected: whether a new line was made.
        back_s: from the heal (of a line that died unseen: from its death) until all was right.
        right_s: from the reconnect until all was right.
        asked, lost: commands that had to be answered, and how many were not, or were not obeyed.
        right_before, right_after: whether the broker kept `online`, the whole document for Home Assistant and nothing
            else before the fault, and after it.
        resident_kib, anonymous_kib, threads, descriptors: of the device, afterwards.
        standstills: steps at which the music stood, since the fault before.
        lacking_ms: of sound that the audio device wanted and did not get, since the fault before.
        step_gap_ms: the longest time between two steps of the loop, since the fault before.
    """

    kind: str
    note: str
    half_open: bool
    reconnected: bool
    back_s: float
    right_s: float
    asked: int
    lost: int
    right_before: bool
    right_after: bool
    resident_kib: int
    anonymous_kib: int
    threads: int
    descriptors: int
    standstills: int
    lacking_ms: float
    step_gap_ms: float

    def line(self, number: int) -> str:
        way = f"reconnect + {self.right_s:.2f} s" if self.reconnected else "line kept"
        return (
            f"#{number:03d} {self.kind:22} {self.note:40} back {self.back_s:5.2f} s ({way:18}) "
            f"answers {self.asked - self.lost}/{self.asked} {self.resident_kib / 1024:.1f} MiB "
            f"{self.threads} threads {self.descriptors} files step {self.step_gap_ms:.0f} ms"
            f"{f' LACKING {self.lacking_ms:.0f} ms of sound' if self.lacking_ms else ''}"
        )


@dataclass(frozen=True)
class Verdict:
    """One thing that was asked for, whether it held, and the figures."""

    what: str
    held: bool
    told: str


def table(run: Sequence[Struck]) -> str:
    """By kind: how often, how fast, what was lost; in Markdown."""
    lines = [
        "| fault | times | back p50 / p95 / max, s | reconnects | right after reconnect max, s | replies lost |",
        "|---|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(sorted(struck.kind for struck in run)):
        of_kind = [struck for struck in run if struck.kind == kind]
        p50, p95, most = np.percentile([struck.back_s for struck in of_kind], (50, 95, 100))
        rights = [struck.right_s for struck in of_kind if struck.reconnected]
        lines.append(
            f"| {kind} | {len(of_kind)} | {p50:.1f} / {p95:.1f} / {most:.1f} | {len(rights)} | "
            f"{f'{max(rights):.1f}' if rights else ''} | "
            f"{sum(s.lost for s in of_kind):,} of {sum(s.asked for s in of_kind):,} |"
        )
    return "\n".join(lines)


def _first_and_last(counts: Sequence[int]) -> tuple[float, float]:
    first, last = first_and_last(counts)
    return float(np.median(first)), float(np.median(last))


def judge(run: Sequence[Struck], *, twice: int, obeyed_twice: int, faults: Sequence[str]) -> list[Verdict]:
    """Hold a run against what was asked for.

    Args:
        run: at least WARM_UP + 30 faults, so that a tenth of them has a median.
        twice: commands that were answered more than once. That may be: of QoS 1 a broker sends again what it is not
            sure of, and the first answer may have been lost.
        obeyed_twice: commands that were carried out more than once. That must not be.
        faults: lines of the device's log that no network should bring about.
    """
    asked, lost = sum(s.asked for s in run), sum(s.lost for s in run)
    wrong = [s for s in run if not (s.right_before and s.right_after)]
    late = [s for s in run if not s.half_open and s.reconnected and s.right_s > RIGHT_BOUND_S]
    half_open = [s.back_s for s in run if s.half_open]
    warm = run[WARM_UP:]
    growth, own = (growth_mb([getattr(s, name) for s in warm]) for name in ("resident_kib", "anonymous_kib"))
    # Medians: a song that is decoded at the moment has a thread and a file of its own.
    threads, files = (_first_and_last([getattr(s, name) for s in warm]) for name in ("threads", "descriptors"))
    rights = [s.right_s for s in run if not s.half_open and s.reconnected]
    stood, lacking_ms = sum(s.standstills for s in run), sum(s.lacking_ms for s in run)
    return [
        Verdict("no crash", not faults, "; ".join(faults[:3]) or "no exception, no dead thread in its log"),
        Verdict("no reply lost", lost == 0, f"{asked:,} commands, {lost} replies lost, {twice} told twice"),
        Verdict("nothing obeyed twice", obeyed_twice == 0, f"{obeyed_twice} times"),
        Verdict("retained state right", not wrong, f"{len(wrong)} of {len(run)} times it was not"),
        Verdict(
            "right after each reconnect",
            not late,
            f"max {max(rights, default=0.0):.2f} s of {len(rights)} (bound {RIGHT_BOUND_S:g})",
        ),
        Verdict(
            "back from half-open",
            max(half_open, default=0.0) <= HALF_OPEN_BOUND_S,
            f"max {max(half_open, default=0.0):.1f} s of {len(half_open)} (bound {HALF_OPEN_BOUND_S:g})",
        ),
        Verdict(
            "memory flat",
            growth < GROWTH_BOUND_MB and own < GROWTH_BOUND_MB,
            f"{growth:+.2f} MB, its own {own:+.2f} MB (bound {GROWTH_BOUND_MB:g}); at first "
            f"{warm[0].resident_kib / 1024:.1f} MiB, at last {warm[-1].resident_kib / 1024:.1f} MiB",
        ),
        Verdict(
            "threads and files flat",
            threads[1] <= threads[0] and files[1] <= files[0],
            f"threads {threads[0]:g} to {threads[1]:g}, files {files[0]:g} to {files[1]:g}",
        ),
        Verdict(
            "music never stops",
            stood == 0 and lacking_ms == 0,
            f"{stood} steps at which it stood, {lacking_ms:.0f} ms of sound lacking",
        ),
        Verdict(
            "the loop never waits",
            max(s.step_gap_ms for s in run) < STEP_GAP_BOUND_MS,
            f"longest time between two steps {max(s.step_gap_ms for s in run):.0f} ms (bound {STEP_GAP_BOUND_MS:g})",
        ),
    ]
