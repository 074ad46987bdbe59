"""The devices of a broker as a table for a terminal; those in trouble stand first where not all fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .document import rate_of
from .errand import Outcome
from .roster import Node, Roster

MOOD_NOTE = "A mood is an estimate of a room's feeling, for wellbeing; it is no fact about a person."
# How what is left of a line is shared.
_SHARES: Mapping[str, Any] = {
    "node": {"ratio": 3, "min_width": 8, "max_width": 40},
    "song": {"ratio": 3, "min_width": 8, "max_width": 40},
    "health": {"max_width": 16},
    "version": {"max_width": 12},
    "mode": {"max_width": 10},
    "models": {"max_width": 16},
}
_ANSWERS = {
    "ok": ("ok", "green"),
    "refused": ("refused", "red"),
    "silent": ("no answer", "red"),
    "offline": ("offline, not asked", "yellow"),
    "unknown": ("not known on this broker", "red"),
}
# Title, blank, head, its line, blank, the sum, and that some do not fit.
_LINES_AROUND = 7
# Below this the least needed columns give their room to names and songs.
_WIDE_CHARACTERS = 100


def fleet_view(
    roster: Roster,
    now_s: float,
    *,
    where: str,
    moods: bool = False,
    trouble: str = "",
    width: int = _WIDE_CHARACTERS,
    height: int | None = None,
) -> RenderableType:
    """The table, what is wrong in words, and what it adds up to.

    Args:
        roster: what was heard.
        now_s: on the clock that the roster was fed with.
        where: the broker.
        moods: whether to show what tells of feelings: the word for the mood of each room, and the song that follows it.
        trouble: why nothing comes from the broker; empty when all is well.
        width: characters in a line.
        height: lines there are; None for as many as it takes.
    """
    nodes = roster.nodes()
    shown = nodes if height is None else _fitting(nodes, now_s, height - _LINES_AROUND - moods - bool(trouble))
    columns = _columns(moods, width)
    table = Table(title=Text(f"emomusic on {where}"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for head in columns:
        table.add_column(
            head, no_wrap=True, justify="right" if head in ("fps", "°C", "heard") else "left", **_SHARES.get(head, {})
        )
    for node in shown:
        cells = _cells(node, now_s)
        table.add_row(*(cells[head] for head in columns))
    notes = [Text(f"{node.name}: {part}: {reason}", "yellow") for node in shown for part, reason in _wrong(node)]
    notes.append(Text(_sum_line(roster, nodes, now_s)))
    if len(shown) < len(nodes):
        notes.append(Text(f"{len(nodes) - len(shown)} more do not fit; --json tells all", "dim"))
    if moods:
        notes.append(Text(MOOD_NOTE, "dim"))
    if trouble:
        notes.append(Text(trouble, "red"))
    for note in notes:
        # On a screen of so many lines each takes one; printed, nothing is cut.
        note.no_wrap, note.overflow = height is not None, "ellipsis" if height is not None else "fold"
    return Group(table, *notes)


def errand_view(outcomes: Sequence[Outcome]) -> RenderableType:
    """One line for each device."""
    table = Table.grid(padding=(0, 2))
    for outcome in outcomes:
        words, style = _ANSWERS[outcome.answer]
        took = "" if outcome.took_ms is None else f"{outcome.took_ms:.0f} ms"
        table.add_row(Text(outcome.node), Text(words, style=style), Text(took, style="dim"), Text(outcome.reason))
    return table


def _columns(moods: bool, width: int) -> list[str]:
    left_out = {"mood", "song"} if not moods else set()
    if width < _WIDE_CHARACTERS:
        left_out |= {"models", "heard"}
    heads = ("node", "online", "version", "health", "mode", "mood", "song", "fps", "°C", "models", "heard")
    return [head for head in heads if head not in left_out]


def _fitting(nodes: Sequence[Node], now_s: float, lines: int) -> Sequence[Node]:
    """All of them if they fit, else those in trouble before the others, as many as fit; one at least."""
    if sum(1 + len(_wrong(node)) for node in nodes) <= lines + 1:  # then nothing has to be said of the others
        return nodes
    shown: list[Node] = []
    for node in sorted(nodes, key=lambda node: not _troubled(node, now_s)):
        lines -= 1 + len(_wrong(node))
        if lines < 0 and shown:
            break
        shown.append(node)
    return shown


def _wrong(node: Node) -> Sequence[tuple[str, str]]:
    return tuple(node.health.reasons.items()) if node.online and node.health is not None else ()


def _troubled(node: Node, now_s: float) -> bool:
    return node.standing(now_s) != "online" or bool(_wrong(node))


def _cells(node: Node, now_s: float) -> dict[str, Text]:
    health, state, music = node.health, node.state, node.music
    song = "" if music is None or music.song is None else music.song.title
    if music is not None and music.paused:
        song = f"(paused) {song}".rstrip()
    rate = rate_of(node)
    heat = None if health is None or health.thermal is None else health.thermal.temperature_c
    providers = {} if health is None else dict.fromkeys(_short(model.provider) for model in health.models.values())
    return {
        "node": Text(node.name, style="bold"),
        "online": _standing(node, now_s),
        "version": Text("" if health is None or health.version is None else health.version),
        "health": _health(node),
        "mode": Text("" if state is None else state.mode),
        "mood": Text("" if state is None or state.stale or state.mood is None else state.mood),
        "song": Text(song),
        "fps": Text("" if rate is None else f"{rate:.1f}"),
        "°C": Text("" if heat is None else f"{heat:.0f}"),
        "models": Text(", ".join(providers)),
        "heard": Text("" if node.heard_s is None else f"{duration(now_s - node.heard_s)} ago"),
    }


def _standing(node: Node, now_s: float) -> Text:
    standing = node.standing(now_s)
    if standing != "online":
        return Text(standing, style="yellow" if standing == "unknown" else "red")
    since_s = node.online_since_s
    # Before anybody looked: only that it is.
    return Text("yes" if since_s is None else duration(now_s - since_s), style="green")


def _health(node: Node) -> Text:
    if node.health is None or not node.online:
        return Text("")
    wrong = [part for part, _ in _wrong(node)]
    if not wrong:
        return Text("ok", style="green")
    more = f" +{len(wrong) - 1}" if len(wrong) > 1 else ""
    return Text(f"{wrong[0]}{more}", style="yellow")


def _sum_line(roster: Roster, nodes: Sequence[Node], now_s: float) -> str:
    standings = Counter(node.standing(now_s) for node in nodes)
    degraded = sum(node.standing(now_s) == "online" and _troubled(node, now_s) for node in nodes)
    counts = [(standings["online"], "online"), (degraded, "of them with a reason in health")]
    counts += [(standings["silent"], "silent"), (standings["offline"], "offline"), (standings["unknown"], "unknown")]
    told = [f"{len(nodes)} node{'' if len(nodes) == 1 else 's'}"]
    told += [f"{count} {name}" for count, name in counts if count or name == "online"]
    if roster.unreadable:
        told.append(f"{roster.unreadable} unreadable message{'' if roster.unreadable == 1 else 's'}")
    if roster.left_out:
        told.append(f"{roster.left_out} messages of further nodes left out")
    return ", ".join(told)


def _short(provider: str) -> str:
    # ONNX Runtime's own names are too long for a column.
    return provider.removesuffix("ExecutionProvider")


def duration(seconds: float) -> str:
    """`8 s`, `12 min`, `3 h`, `2 d`: as much as a column holds."""
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds // length_s:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
