"""What a run came to: frames, faces, affect, songs, latency; in memory that does not grow with the run."""

from __future__ import annotations

import json
import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from emomusic_edge.artefacts import write_atomic
from emomusic_edge.contracts import Segment, StateSnapshot

from .view.terminal_text import printable

# a service runs for months: the newest songs and the first kinds of trouble are kept, the rest is counted
SONGS_KEPT = 1000
REASONS_KEPT = 50
# A song that does not decode is given up within this; it was never heard.
_COUNTS_AFTER_S = 0.5
_SONGS_SHOWN = 8
_SLOWED = {"work": "by the work", "cpu": "for the CPU's budget", "temperature": "by the heat"}

# Latencies are counted in bins 2 % wide, so that a percentile is within 1 % of the sample it stands for.
_BIN_RATIO = 1.02
_LOWEST_MS = 0.001
_HIGHEST_MS = 1_000_000.0
PERCENTILE_ERROR = math.sqrt(_BIN_RATIO) - 1.0
"""The greatest relative error of a percentile between 0.001 ms and 1000 s."""


class LatencyHistogram:
    """Percentiles of an endless series of positive numbers, from counts in logarithmic bins (8.4 KB)."""

    def __init__(self) -> None:
        self._bins = np.zeros(math.ceil(math.log(_HIGHEST_MS / _LOWEST_MS, _BIN_RATIO)) + 1, np.int64)

    def add(self, value_ms: float) -> None:
        """Count one value; those outside 0.001 ms … 1000 s count as the nearest bound, NaN not at all."""
        if math.isnan(value_ms):
            return
        bounded_ms = min(max(value_ms, _LOWEST_MS), _HIGHEST_MS)
        self._bins[int(math.log(bounded_ms / _LOWEST_MS, _BIN_RATIO))] += 1

    def percentile_ms(self, percent: float) -> float | None:
        """The value that `percent` of the series do not exceed (nearest rank); None of an empty series."""
        counts = np.cumsum(self._bins)
        if counts[-1] == 0:
            return None
        rank = max(math.ceil(percent / 100.0 * int(counts[-1])), 1)
        place = int(np.searchsorted(counts, rank))
        return float(_LOWEST_MS * _BIN_RATIO ** (place + 0.5))

    def told(self) -> dict[str, float | None]:
        """p50, p95 and p99, in ms to three digits."""
        return {f"p{percent}": _digits(self.percentile_ms(percent)) for percent in (50, 95, 99)}


class _Range:
    """Mean, least and greatest of an endless series."""

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0.0
        self._min = math.inf
        self._max = -math.inf

    def add(self, value: float) -> None:
        self._count += 1
        self._sum += value
        self._min = min(self._min, value)
        self._max = max(self._max, value)

    def told(self) -> dict[str, float | None]:
        if self._count == 0:
            return {"mean": None, "min": None, "max": None}
        return {"mean": round(self._sum / self._count, 4), "min": round(self._min, 4), "max": round(self._max, 4)}


class RunSummary:
    """Adds up the snapshots of a run. A snapshot counts as a frame when it is about a new one."""

    def __init__(self) -> None:
        self._frames = 0
        self._faces = 0
        self._held = 0
        self._scene_runs = 0
        self._waiting = 0
        self._start_s: float | None = None
        self._limited: Counter[str] = Counter()
        self._valence = _Range()
        self._arousal = _Range()
        self._latency = LatencyHistogram()
        self._stages: dict[str, LatencyHistogram] = {}
        self._playing: Segment | None = None
        self._playing_since_s = 0.0
        self._counted = False
        self._songs: deque[dict[str, Any]] = deque(maxlen=SONGS_KEPT)
        self._song_count = 0
        self._reasons: dict[tuple[str, str], dict[str, Any]] = {}
        self._muted_seen = False
        self._muted_reason = ""

    def add(self, snapshot: StateSnapshot) -> None:
        """Take in one snapshot."""
        if self._start_s is None:
            self._start_s = snapshot.t_s
        since_start_s = round(snapshot.t_s - self._start_s, 3)
        self._add_playback(snapshot, since_start_s)
        self._add_reasons(snapshot.reasons, since_start_s)
        if not snapshot.new_frame:
            return
        self._frames += 1
        self._faces += snapshot.face is not None
        self._scene_runs += any(e.source == "scene" and e.age_s == 0.0 for e in snapshot.estimates)
        if snapshot.pace is not None and snapshot.pace.limited_by != "none":
            self._limited[snapshot.pace.limited_by] += 1
        if snapshot.stable is None:
            self._waiting += 1
        else:
            self._held += any(snapshot.stable.held)
            self._valence.add(snapshot.stable.mean.valence)
            self._arousal.add(snapshot.stable.mean.arousal)
        self._latency.add(snapshot.latency_ms)
        for stage, took_ms in snapshot.stage_ms.items():
            self._stages.setdefault(stage, LatencyHistogram()).add(took_ms)

    def finish(self, seconds: float, providers: Mapping[str, str], *, dropped: int = 0) -> dict[str, Any]:
        """The summary as JSON values; numbers that nothing was seen for are None.

        Args:
            seconds: how long the run took.
            providers: what each model truly ran on at last, e.g. {"scene": "CPUExecutionProvider"}.
            dropped: how many frames the source gave that were not taken.

        Returns:
            frames, dropped, seconds, frames_per_second; face_rate, held_rate (frames on which valence or arousal was
            held), waiting_rate (frames before there was any stable value), scene_rate (frames on which the scene model
            gave an estimate of its own) and limited_rate (by what limited the pace), each of all frames; valence and
            arousal {mean, min, max} of the stable value in FindingEmo units; songs (the last 1000) and song_count;
            latency_ms {p50, p95, p99, stages}; providers; muted and muted_reason; reasons seen, with when each first
            came (s) and on how many snapshots.
        """
        return {
            "frames": self._frames,
            "dropped": dropped,
            "seconds": round(seconds, 3),
            "frames_per_second": _digits(self._frames / seconds if seconds > 0 else None),
            "face_rate": self._rate(self._faces),
            "held_rate": self._rate(self._held),
            "waiting_rate": self._rate(self._waiting),
            "scene_rate": self._rate(self._scene_runs),
            "limited_rate": {limit: self._rate(count) for limit, count in self._limited.items()},
            "valence": self._valence.told(),
            "arousal": self._arousal.told(),
            "songs": list(self._songs),
            "song_count": self._song_count,
            "latency_ms": {
                **self._latency.told(),
                "stages": {stage: histogram.told() for stage, histogram in self._stages.items()},
            },
            "providers": dict(providers),
            "muted": self._muted_seen,
            "muted_reason": self._muted_reason,
            "reasons": list(self._reasons.values()),
        }

    def _rate(self, count: int) -> float | None:
        return round(count / self._frames, 4) if self._frames else None

    def _add_playback(self, snapshot: StateSnapshot, since_start_s: float) -> None:
        playback = snapshot.playback
        if playback.muted:
            self._muted_seen = True
            self._muted_reason = playback.reason or self._muted_reason
        if playback.segment != self._playing:
            self._playing, self._playing_since_s, self._counted = playback.segment, since_start_s, False
        playing = self._playing
        if playing is None or self._counted or playback.position_s - playing.start_s < _COUNTS_AFTER_S:
            return
        self._counted = True
        self._song_count += 1
        self._songs.append(
            {
                "song_id": playing.song_id,
                "title": playing.title or playing.song_id,
                "started_at_s": self._playing_since_s,
            }
        )

    def _add_reasons(self, reasons: Mapping[str, str], since_start_s: float) -> None:
        for part, reason in reasons.items():
            if not reason:
                continue
            seen = self._reasons.get((part, reason))
            if seen is not None:
                seen["snapshots"] += 1
            elif len(self._reasons) < REASONS_KEPT:
                self._reasons[part, reason] = {
                    "part": part,
                    "reason": reason,
                    "first_s": since_start_s,
                    "snapshots": 1,
                }


def write_summary(path: Path, told: Mapping[str, Any]) -> None:
    """Write a summary as JSON, the whole of it or nothing.

    Raises:
        OSError: the folder cannot be written.
    """
    write_atomic(path, json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False) + "\n", mode=0o600)


def summary_view(told: Mapping[str, Any]) -> RenderableType:
    """A summary for the terminal, from what `RunSummary.finish` gave."""
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold", no_wrap=True)
    rows.add_column()
    for name, line in _lines(told):
        rows.add_row(name, Text(line))
    return Group(Text("This run", style="bold underline"), rows)


def _lines(told: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    rate = told["frames_per_second"]
    paced = f", {rate:g} a second" if rate is not None else ""
    yield "frames", f"{told['frames']} in {told['seconds']:.1f} s{paced}; {told['dropped']} passed over"
    if told["frames"]:
        yield "face", f"on {told['face_rate']:.0%} of frames"
        yield "held", f"on {told['held_rate']:.0%} of frames (too uncertain to move the estimate)"
        yield "scene", f"looked at on {told['scene_rate']:.0%} of frames"
        for limit, share in told["limited_rate"].items():
            yield "slowed", f"{_SLOWED[limit]} on {share:.0%} of frames"
    for axis in ("valence", "arousal"):
        if told[axis]["mean"] is not None:
            yield axis, "mean {mean:+.2f}, from {min:+.2f} to {max:+.2f}".format(**told[axis])
    latency = told["latency_ms"]
    if latency["p50"] is not None:
        yield "latency", "half within {p50:g} ms, 95 % within {p95:g} ms, 99 % within {p99:g} ms".format(**latency)
        yield "", " · ".join(f"{stage} {p['p50']:g}" for stage, p in latency["stages"].items())
    songs = told["songs"][-_SONGS_SHOWN:]
    label = "songs"
    if told["song_count"] > len(songs):
        yield label, f"{told['song_count']}, the last {len(songs)} of them:"
        label = ""
    for song in songs:
        yield label, f"{song['started_at_s']:7.1f} s  {printable(song['title'])}"
        label = ""
    if told["muted"]:
        yield "muted", printable(told["muted_reason"]) or "as asked"
    for trouble in told["reasons"]:
        if told["muted"] and trouble["reason"] == told["muted_reason"]:
            continue
        yield trouble["part"], f"{printable(trouble['reason'])} (from {trouble['first_s']:.1f} s)"
    if told["providers"]:
        yield "models on", ", ".join(f"{model}: {provider}" for model, provider in told["providers"].items())


def _digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")
