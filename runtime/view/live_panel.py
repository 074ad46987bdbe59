"""One snapshot of a run as a picture in characters, or as a line: what the live view shows, without any state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from emomusic_edge.contracts import StateSnapshot, ValenceArousal

from .affect_plane import AROUSAL_STYLE, HELD_STYLE, VALENCE_STYLE, affect_plane
from .panel_rows import (
    affect_row,
    axis_row,
    camera_and_face,
    mode_row,
    mood_row,
    music_row,
    rate_limit,
    sd_of,
    sds_of,
    song_text,
    troubles,
)
from .terminal_text import ascii_segments, printable

FOOTNOTE = "an estimate, not a diagnosis · nothing it sees leaves this device"
KEY_HINT = "Ctrl-C ends"

_PLANE_FROM_WIDTH = 80
_PLANE_WIDTH = 25
_PLANE_HEIGHT = 11
_LABEL_WIDTH = 8
_NO_SPREAD = ValenceArousal(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the view tells beside the snapshot.

    Attributes:
        title: the panel's heading, e.g. `emomusic-edge · clip.mp4`.
        notice: one line that always shows, e.g. which models are starter models; may be empty.
        broker: the MQTT broker's address; None when the smart home is switched off.
        latency_p50_ms: the median over the last snapshots; the snapshot's own where it is None.
        to_felt: where a target (DEAM units) stands on the plane of people's affect; None leaves it out.
    """

    title: str = "emomusic-edge"
    notice: str = ""
    broker: str | None = None
    latency_p50_ms: float | None = None
    to_felt: Callable[[ValenceArousal], ValenceArousal] | None = None


def render(snapshot: StateSnapshot | None, around: Surroundings | None = None) -> RenderableType:
    """A snapshot as a panel that fits the width it is given; None is the time before the first one."""
    return _View(snapshot, around or Surroundings())


def plain_line(snapshot: StateSnapshot, start_s: float = 0.0) -> str:
    """A snapshot as one line for a log or a pipe; its time counts from `start_s`."""
    parts = [f"{snapshot.t_s - start_s:.1f} s", camera_and_face(snapshot)]
    stable = snapshot.stable
    if stable is None:
        parts.append("no sure estimate yet")
    else:
        for place, axis in enumerate(("valence", "arousal")):
            value = f"{axis} {stable.mean[place]:+.2f} ± {sd_of(stable.variance[place]):.2f}"
            parts.append(f"{value} held" if stable.held[place] else value)
        parts.append(f"stale for {stable.age_s:.0f} s" if stable.stale else snapshot.mood or "")
    parts += [snapshot.mode.value, song_text(snapshot.playback)]
    parts.append(f"{snapshot.frames_per_second:.1f} frames/s, {snapshot.latency_ms:.0f} ms")
    parts.append(rate_limit(snapshot))
    parts += [f"{part}: {printable(reason)}" for part, reason in troubles(snapshot)]
    return " | ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class _View:
    snapshot: StateSnapshot | None
    around: Surroundings

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        panel = self._panel(options.max_width)
        if options.ascii_only:
            yield from ascii_segments(console.render(panel, options))
        else:
            yield panel

    def _panel(self, width: int) -> Panel:
        body: list[RenderableType] = []
        if self.snapshot is None:
            body.append(Text("waiting for the first picture", style="italic"))
        else:
            body.append(self._body(self.snapshot, width - 4))
            body += [
                Text(f"! {part}: {printable(reason)}", style=HELD_STYLE, overflow="fold")
                for part, reason in troubles(self.snapshot)
            ]
        if self.around.notice:
            body.append(Text(self.around.notice, style="italic", overflow="fold"))
        foot = FOOTNOTE if width >= _PLANE_FROM_WIDTH else FOOTNOTE.split(" · ")[0]
        return Panel(
            Group(*body),
            title=Text(printable(self.around.title), style="bold"),
            title_align="left",
            subtitle=Text(f"{foot} · {KEY_HINT}"),
            subtitle_align="right",
            border_style="bright_black",
            width=width,
        )

    def _body(self, snapshot: StateSnapshot, width: int) -> RenderableType:
        with_plane = width + 4 >= _PLANE_FROM_WIDTH
        text_width = width - (_PLANE_WIDTH + 3) * with_plane
        rows = Table.grid(padding=(0, 1))
        rows.add_column(width=_LABEL_WIDTH, no_wrap=True, style="bold")
        rows.add_column(width=text_width - _LABEL_WIDTH - 1, no_wrap=True, overflow="ellipsis")
        for label, content in self._rows(snapshot, text_width - _LABEL_WIDTH - 1, with_plane=with_plane):
            rows.add_row(label, content)
        if not with_plane:
            return rows
        both = Table.grid(padding=(0, 3, 0, 0))
        both.add_column(width=text_width)
        both.add_column(width=_PLANE_WIDTH)
        both.add_row(rows, self._plane(snapshot))
        return both

    def _plane(self, snapshot: StateSnapshot) -> Text:
        stable, to_felt = snapshot.stable, self.around.to_felt
        return affect_plane(
            stable.mean if stable else None,
            sds_of(stable.variance) if stable else _NO_SPREAD,
            held=any(stable.held) if stable else False,
            stale=stable.stale if stable else False,
            target=to_felt(snapshot.target) if snapshot.target and to_felt else None,
            path=self._path(snapshot),
            marks=tuple((estimate.source[0], estimate.mean) for estimate in snapshot.estimates),
            width=_PLANE_WIDTH,
            height=_PLANE_HEIGHT,
        )

    def _path(self, snapshot: StateSnapshot) -> tuple[tuple[ValenceArousal, ...], int] | None:
        path, to_felt = snapshot.path, self.around.to_felt
        return (tuple(map(to_felt, path.points)), path.at) if path is not None and to_felt is not None else None

    def _rows(self, snapshot: StateSnapshot, width: int, *, with_plane: bool) -> Iterator[tuple[str, RenderableType]]:
        yield "valence", axis_row(snapshot, 0, width, VALENCE_STYLE)
        yield "arousal", axis_row(snapshot, 1, width, AROUSAL_STYLE)
        yield "mood", mood_row(snapshot)
        yield "camera", Text(camera_and_face(snapshot), style="" if snapshot.face else HELD_STYLE)
        yield "mode", mode_row(snapshot)
        yield "music", music_row(snapshot.playback, width)
        yield "", affect_row(snapshot)
        yield "speed", self._speed(snapshot)
        stages = "  ".join(f"{stage} {took_ms:.1f}" for stage, took_ms in snapshot.stage_ms.items())
        yield "", Text(stages, style="bright_black")
        if self.around.broker is not None:
            lost = snapshot.reasons.get("broker", "")
            yield "home", Text(f"{printable(self.around.broker)} " + ("not reached" if lost else "connected"))
        else:
            yield "home", Text("MQTT is off", style="bright_black")
        if with_plane:
            yield "", Text("● felt  ◇ sought  f face  s scene  ░ two sd", style="bright_black")

    def _speed(self, snapshot: StateSnapshot) -> Text:
        latency_ms = self.around.latency_p50_ms if self.around.latency_p50_ms is not None else snapshot.latency_ms
        limit = rate_limit(snapshot)
        line = Text(f"{snapshot.frames_per_second:.1f} frames/s, {latency_ms:.1f} ms")
        return line.append(f", {limit}", style=HELD_STYLE) if limit else line.append(" from picture to answer")
