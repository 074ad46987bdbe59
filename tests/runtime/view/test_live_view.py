from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from sample_index import sample_index
from snapshots import SONG, snapshot

from emomusic_edge.affect import DEAM
from emomusic_edge.contracts import (
    AffectEstimate,
    FaceBox,
    GuideStatus,
    Mode,
    Pace,
    PlaybackStatus,
    StableAffect,
    StateSnapshot,
    ValenceArousal,
)
from emomusic_edge.deam_index.alignment import Alignment, AlignmentMethod
from emomusic_edge.runtime.view.affect_plane import affect_plane, axis_bar
from emomusic_edge.runtime.view.live_panel import Surroundings, plain_line, render
from emomusic_edge.runtime.view.live_view import LiveView

NO_SPREAD = ValenceArousal(0.0, 0.0)


class AsciiFile(io.StringIO):
    encoding = "ascii"


def drawn(one: StateSnapshot | None, width: int = 96, around: Surroundings | None = None) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(render(one, around))
    return console.file.getvalue()


def line_with(text: str, label: str) -> str:
    return next(line for line in text.splitlines() if re.match(rf"│ {label}\b", line))


def test_the_way_of_guide_is_shown() -> None:
    way = tuple(ValenceArousal(-0.2 + 0.1 * step, 0.2 - 0.04 * step) for step in range(6))
    index = sample_index(reference_mean=DEAM.mean, reference_sd=DEAM.sd)
    to_felt = Alignment(index, AlignmentMethod.STANDARDISE).to_felt
    guiding = snapshot(mode=Mode.GUIDE, target=way[2], path=GuideStatus(way, 2, "uncertain"))
    text = drawn(guiding, around=Surroundings(to_felt=to_felt))
    assert "2/5 ◆ uncertain" in line_with(text, "mode")
    assert sum(line.count("◆") for line in text.splitlines()) == 2
    assert "◆" not in drawn(snapshot())


@pytest.mark.parametrize(
    ("limit", "told"), [("work", "the work"), ("cpu", "the CPU's budget"), ("temperature", "the heat")]
)
def test_what_slows_it_shows_and_nothing_where_nothing_does(limit: str, told: str) -> None:
    slowed, free = snapshot(pace=Pace(3.0, 0.5, limit)), snapshot(pace=Pace(10.0, 0.5))
    assert told in line_with(drawn(slowed), "speed")
    assert told in plain_line(slowed)
    assert "slowed" not in drawn(free) + plain_line(free)


def test_all_that_a_person_asks_is_there() -> None:
    text = drawn(
        snapshot(),
        around=Surroundings(title="emomusic-edge · clip.mp4", notice="starter models", broker="localhost:1883"),
    )
    assert "emomusic-edge · clip.mp4" in text
    assert "-1.42 ± 0.50" in line_with(text, "valence")
    assert "+3.31 ± 0.60" in line_with(text, "arousal")
    assert "held" not in text
    assert "distress" in line_with(text, "mood")
    assert "face 0.90" in line_with(text, "camera")
    assert "mirror" in line_with(text, "mode")
    assert "valence -0.20, arousal +0.20" in line_with(text, "mode")
    assert "Slow rain in A minor" in line_with(text, "music")
    assert "0:13 / 0:45" in line_with(text, "music")
    assert "valence -0.22, arousal -0.05" in text
    assert "10.0 frames/s" in line_with(text, "speed")
    assert "detect 4.1  face 0.9" in text
    assert "localhost:1883 connected" in line_with(text, "home")
    assert "starter models" in text
    assert "not a diagnosis" in text
    assert "Ctrl-C" in text


def test_before_the_first_picture() -> None:
    assert "waiting for the first picture" in drawn(None)


def test_no_face_is_said() -> None:
    assert "no face" in line_with(drawn(snapshot(face=None, face_count=0)), "camera")


def test_of_several_faces_it_says_which_counts() -> None:
    assert "of 3" in line_with(drawn(snapshot(face_count=3)), "camera")


@pytest.mark.parametrize("axis", [0, 1])
def test_held_is_told_of_the_axis_that_is(axis: int) -> None:
    held = (axis == 0, axis == 1)
    text = drawn(snapshot(stable=replace(snapshot().stable, held=held, age_s=4.0)))
    assert ("held" in line_with(text, "valence"), "held" in line_with(text, "arousal")) == held
    assert "held for 4 s" in line_with(text, "mood")


def test_stale_is_told_with_its_age() -> None:
    text = drawn(snapshot(stable=replace(snapshot().stable, held=(True, True), age_s=44.0, stale=True)))
    assert "stale" in line_with(text, "mood")
    assert "44 s" in line_with(text, "mood")


def test_without_a_stable_value_nothing_is_invented() -> None:
    text = drawn(snapshot(stable=None, mood=None, target=None, estimates=()))
    assert "no sure estimate yet" in text
    assert "±" not in text
    assert "●" not in text.replace("● felt", "")


def test_paused_says_that_the_camera_is_closed() -> None:
    text = drawn(snapshot(camera_on=False, face=None, estimates=(), playback=PlaybackStatus(segment=SONG, paused=True)))
    assert "closed" in line_with(text, "camera")
    assert "not watching" in line_with(text, "mood")
    assert "paused" in line_with(text, "music")


def test_muted_and_every_trouble_is_told_once() -> None:
    playback = PlaybackStatus(segment=SONG, muted=True, reason="no audio device")
    text = drawn(
        snapshot(playback=playback, reasons={"audio": "no audio device", "broker": "refused", "camera": ""}),
        around=Surroundings(broker="localhost:1883"),
    )
    assert "muted" in line_with(text, "music")
    assert text.count("no audio device") == 1
    assert "! broker: refused" in text
    assert "not reached" in line_with(text, "home")
    assert "! camera" not in text


def test_a_players_reason_is_told_even_if_nobody_repeats_it() -> None:
    assert "! audio: no audio device" in drawn(
        snapshot(playback=PlaybackStatus(segment=SONG, muted=True, reason="no audio device"))
    )


@pytest.mark.parametrize("width", [40, 60, 79, 80, 100, 140])
@pytest.mark.parametrize(
    "title", ["short", "long " * 60, "日本語のとても長い題名" * 10, "[bold]markup[/bold]", "\x1b[2J\x07 \n two lines"]
)
def test_it_keeps_its_shape_at_any_width_with_any_title(width: int, title: str) -> None:
    console = Console(file=io.StringIO(), width=width)
    one = snapshot(
        playback=PlaybackStatus(segment=replace(SONG, title=title)), reasons={"camera": "gone " * 40, "index": title}
    )
    console.print(render(one, Surroundings(title=title, notice="notice " * 30, broker="broker")))
    text = console.file.getvalue()
    assert {cell_len(line) for line in text.splitlines()} == {width}
    assert "\x1b" not in text
    assert "\x07" not in text


def test_a_narrow_terminal_gets_no_plane_and_a_wide_one_does() -> None:
    assert "excitement" not in drawn(snapshot(), width=60)
    assert "excitement" in drawn(snapshot(), width=80)


def test_a_terminal_without_unicode_gets_plain_ascii() -> None:
    console = Console(file=AsciiFile(), width=96)
    console.print(render(snapshot(playback=PlaybackStatus(segment=replace(SONG, title="Für Elise · 日本")))))
    text = console.file.getvalue()
    assert text.isascii()
    assert "valence" in text


finite = st.floats(-1e6, 1e6)


@settings(max_examples=60, deadline=None)
@given(
    st.builds(ValenceArousal, finite, finite),
    st.builds(ValenceArousal, st.floats(), st.floats(0, 1e9)),
    st.tuples(st.booleans(), st.booleans()),
    st.integers(60, 120),
)
def test_any_value_is_drawn(
    mean: ValenceArousal, variance: ValenceArousal, held: tuple[bool, bool], width: int
) -> None:
    stable = StableAffect(mean, variance, held, 1.0)
    estimates = (AffectEstimate("scene", mean, variance, 0),)
    assert "mood" in drawn(snapshot(stable=stable, estimates=estimates, target=mean), width=width)


def test_the_bar_puts_the_point_where_the_value_is() -> None:
    for value, cell in ((-3.0, 0), (0.0, 15), (3.0, 30), (-9.0, 0), (9.0, 30), (1.0, 20)):
        assert axis_bar(value, 0.0, -3.0, 3.0, 31, style="cyan", held=False).plain.index("●") == cell


def test_the_bars_shade_is_one_and_two_sd_wide() -> None:
    bar = axis_bar(0.0, 0.62, -3.0, 3.0, 31, style="cyan", held=True).plain
    # 0.2 a cell: 3 cells to one sd, 6 to two
    assert bar == "─" * 9 + "░░░▓▓▓○▓▓▓░░░" + "─" * 9


def test_the_plane_has_valence_to_the_right_and_arousal_up() -> None:
    def place(valence: float, arousal: float) -> tuple[int, int]:
        rows = affect_plane(ValenceArousal(valence, arousal), NO_SPREAD, width=27, height=11).plain.split("\n")
        return next((row.index("●"), number) for number, row in enumerate(rows) if "●" in row)

    assert place(0.0, 3.0) == (13, 5)
    assert place(-3.0, 6.0) == (0, 0)
    assert place(3.0, 0.0) == (26, 10)
    assert place(99.0, -99.0) == (26, 10)


def test_the_plane_shows_what_each_model_says_and_where_the_music_leads() -> None:
    text = affect_plane(
        ValenceArousal(0.0, 3.0),
        ValenceArousal(0.5, 0.5),
        held=True,
        target=ValenceArousal(2.0, 4.0),
        marks=(("f", ValenceArousal(-2.0, 2.0)),),
    ).plain
    assert "○" in text
    assert "◇" in text
    assert re.search(r"(?<![a-z])f(?![a-z])", text)


def test_a_plain_line_tells_the_same() -> None:
    line = plain_line(
        snapshot(
            stable=replace(snapshot().stable, held=(True, False)),
            playback=PlaybackStatus(segment=SONG, muted=True),
            reasons={"camera": "two\nlines\x1b"},
        )
    )
    assert "\n" not in line
    assert "\x1b" not in line
    for expected in ("12.0 s", "face 0.90", "-1.42 ± 0.50 held", "+3.31 ± 0.60 |", "distress", "muted", "Slow rain"):
        assert expected in line
    assert "no sure estimate" in plain_line(snapshot(stable=None))
    assert "closed" in plain_line(snapshot(camera_on=False, mode=Mode.OFF))


def test_a_pipe_gets_a_line_every_few_seconds() -> None:
    console = Console(file=io.StringIO(), width=40)
    with LiveView(console, title="emomusic-edge", notice="starter models") as view:
        for tenth in range(101):
            view.update(snapshot(seq=tenth, t_s=tenth / 10))
    lines = console.file.getvalue().splitlines()
    assert "not a diagnosis" in lines[0]
    assert lines[1] == "starter models"
    assert [line.split(" |")[0] for line in lines[2:]] == ["0.0 s", "5.0 s", "10.0 s"]


def test_a_terminal_gets_a_panel_that_is_left_standing_at_the_end() -> None:
    console = Console(file=io.StringIO(), width=96, height=40, force_terminal=True)
    with LiveView(console, title="emomusic-edge") as view:
        view.update(snapshot(seq=1))
        view.update(snapshot(seq=2, mood="contentment", face=FaceBox(0, 0, 9, 9, 0.77)))
    shown = console.file.getvalue()
    assert "face 0.77" in shown[shown.rindex("mood") :]
    # the cursor that the panel hid is back
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_latency_is_the_median_of_the_last_frames() -> None:
    view = LiveView(Console(file=io.StringIO(), force_terminal=True))
    for number, latency_ms in enumerate((10.0, 900.0, 12.0, 11.0, 13.0)):
        view.update(snapshot(seq=number, latency_ms=latency_ms))
    console = Console(file=io.StringIO(), width=96)
    console.print(view.picture())
    assert " 12.0 ms" in console.file.getvalue()


def test_the_picture_of_it_asks_for_nothing_from_the_network(tmp_path: Path) -> None:
    view = LiveView(Console(file=io.StringIO(), force_terminal=True), title="emomusic-edge")
    view.update(snapshot())
    view.save_svg(tmp_path / "view.svg")
    svg = (tmp_path / "view.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "Slow&#160;rain" in svg
    # a name space and rich's own home page are no more than names
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", svg)) - {"http://www.w3.org/2000/svg"}
    assert not re.search(r"url\(\s*[\"']?http|@import|xlink:href|<image|@font-face", svg)
    assert all("textualize.io" in address for address in addresses)
