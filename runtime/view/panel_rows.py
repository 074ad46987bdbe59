"""The rows of the live view: each says one thing about a snapshot, as a styled text or in words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.text import Text

from emomusic_edge.affect import FINDINGEMO
from emomusic_edge.contracts import PlaybackStatus, StateSnapshot, ValenceArousal

from .affect_plane import HELD_STYLE, STALE_STYLE, TARGET_STYLE, axis_bar
from .terminal_text import printable


def rate_limit(snapshot: StateSnapshot) -> str:
    """What keeps the rate below the one that was asked for; empty when nothing does."""
    told = {"none": "", "work": "slowed by the work", "cpu": "slowed for the CPU's budget"}
    told["temperature"] = "slowed by the heat"
    return "" if snapshot.pace is None else told[snapshot.pace.limited_by]


def axis_row(snapshot: StateSnapshot, place: int, width: int, style: str) -> Text:
    """One axis (0 valence, 1 arousal): a bar with the mean and its spread, and the figures behind it."""
    stable = snapshot.stable
    low, high = FINDINGEMO.low[place], FINDINGEMO.high[place]
    ends = (f"{low:+.0f} ", f" {high:+.0f}") if low < 0 else (f" {low:.0f} ", f" {high:.0f} ")
    # value, sd and `held` take 21 cells
    bar_width = max(width - 6 - 21, 5)
    held = stable is not None and stable.held[place]
    stale = stable is not None and stable.stale
    style = STALE_STYLE if stale else style
    bar = axis_bar(
        stable.mean[place] if stable else None,
        sd_of(stable.variance[place]) if stable else 0.0,
        low,
        high,
        bar_width - (bar_width + 1) % 2,
        style=style,
        held=held,
    )
    line = Text.assemble((ends[0], "bright_black"), bar, (ends[1], "bright_black"))
    if stable is not None:
        line.append(f"  {stable.mean[place]:+.2f}", style=f"bold {style}")
        line.append(f" ± {sd_of(stable.variance[place]):.2f}")
        if held:
            line.append("  held", style=HELD_STYLE)
    return line


def mood_row(snapshot: StateSnapshot) -> Text:
    """The mood in a word, or why there is none."""
    stable = snapshot.stable
    if not snapshot.camera_on:
        return Text("not watching", style="italic")
    if stable is None:
        return Text("no sure estimate yet", style="italic")
    if stable.stale:
        return Text(f"{snapshot.mood or '–'}, stale: last sure {stable.age_s:.0f} s ago", style=STALE_STYLE)
    line = Text.assemble((snapshot.mood or "–", "bold"))
    if any(stable.held):
        line.append(f"  held for {stable.age_s:.0f} s: too uncertain to follow", style=HELD_STYLE)
    return line


def camera_and_face(snapshot: StateSnapshot) -> str:
    """What of the camera and the face there is, in words."""
    if not snapshot.camera_on:
        return "closed"
    if snapshot.face is None:
        return "no face"
    others = f", the nearest of {snapshot.face_count}" if snapshot.face_count > 1 else ""
    return f"face {snapshot.face.score:.2f}{others}"


def mode_row(snapshot: StateSnapshot) -> Text:
    """The mode, the place on its path, and what it seeks."""
    line = Text.assemble((snapshot.mode.value, "bold"))
    if snapshot.path is not None:
        path = snapshot.path
        line.append(f"  {path.at}/{len(path.points) - 1} ◆", style=TARGET_STYLE)
        line.append(f" {path.waits}" if path.waits else "", style=HELD_STYLE)
    if snapshot.target is not None:
        line.append(f"  seeks {_point(snapshot.target)}")
        line.append(" ◇", style=TARGET_STYLE)
    return line


def music_row(playback: PlaybackStatus, width: int) -> Text:
    """The song, how far it is, and its times."""
    segment = playback.segment
    if segment is None:
        return Text(song_text(playback), style="bright_black")
    time = f" {_clock(playback.position_s)} / {_clock(segment.song_end_s)}"
    bar_width = 9
    title = Text(song_text(playback), style="bold", no_wrap=True)
    title.truncate(max(width - len(time) - bar_width - 1, 4), overflow="ellipsis", pad=True)
    share = playback.position_s / segment.song_end_s if segment.song_end_s > 0 else 0.0
    done = round(min(max(share, 0.0), 1.0) * bar_width)
    return Text.assemble(
        title, " ", ("━" * done, TARGET_STYLE), ("─" * (bar_width - done), "bright_black"), (time, ""), no_wrap=True
    )


def affect_row(snapshot: StateSnapshot) -> Text:
    """The affect of what plays, and the volume; empty in silence."""
    segment = snapshot.playback.segment
    if segment is None:
        return Text("")
    line = Text(f"affect {_point(ValenceArousal(segment.valence, segment.arousal))}")
    line.append(f"  volume {snapshot.playback.volume:.0%}", style="bright_black")
    return line


def song_text(playback: PlaybackStatus) -> str:
    """What plays, in words."""
    how = "paused " if playback.paused else ""
    how += "muted " if playback.muted else ""
    if playback.segment is None:
        return f"{how}silence"
    return f"{how}♪ {printable(playback.segment.title or playback.segment.song_id)}"


def troubles(snapshot: StateSnapshot) -> Iterator[tuple[str, str]]:
    """Each part that is in trouble, and why."""
    yield from ((part, reason) for part, reason in snapshot.reasons.items() if reason)
    if snapshot.playback.reason and snapshot.playback.reason not in snapshot.reasons.values():
        yield "audio", snapshot.playback.reason


def _point(point: ValenceArousal) -> str:
    return f"valence {point.valence:+.2f}, arousal {point.arousal:+.2f}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def sd_of(variance: float) -> float:
    """The standard deviation; 0 for a variance that rounding made negative."""
    return math.sqrt(max(variance, 0.0))


def sds_of(variance: ValenceArousal) -> ValenceArousal:
    """Of each axis."""
    return ValenceArousal(sd_of(variance.valence), sd_of(variance.arousal))
