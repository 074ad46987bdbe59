"""What each mode seeks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from pydantic import ValidationError
from sample_index import sample_index

from emomusic_edge.affect import DEAM, FINDINGEMO
from emomusic_edge.config.settings import ModeSettings
from emomusic_edge.contracts import Mode, StableAffect, ValenceArousal
from emomusic_edge.deam_index.alignment import Alignment, AlignmentMethod
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.paths import packaged_deam_index
from emomusic_edge.runtime.targets import CALM_GOAL, ENERGIZE_GOAL, GUIDE_GOAL, Targets

ALIGNMENT = Alignment(sample_index(reference_mean=DEAM.mean, reference_sd=DEAM.sd), AlignmentMethod.STANDARDISE)
SAD = ValenceArousal(-2.0, 2.0)
GLAD = ValenceArousal(2.0, 4.0)


def feeling(mean: ValenceArousal, *, stale: bool = False) -> StableAffect:
    return StableAffect(mean, ValenceArousal(0.1, 0.1), (False, False), 40.0 if stale else 0.0, stale)


def test_mirror_seeks_the_aligned_feeling() -> None:
    targets = Targets(ALIGNMENT)
    assert targets.mode is Mode.MIRROR
    assert targets.target(feeling(FINDINGEMO.mean)) == pytest.approx(DEAM.mean)
    assert targets.target(feeling(SAD)) == ALIGNMENT.to_music(SAD)
    assert targets.target(feeling(GLAD), song_over=True) == ALIGNMENT.to_music(GLAD)


@pytest.mark.parametrize("mode", [Mode.MIRROR, Mode.GUIDE])
def test_no_feeling_seeks_nothing_and_a_stale_one_only_keeps_the_music_going(mode: Mode) -> None:
    targets = Targets(ALIGNMENT, mode=mode)
    assert targets.target(None) is None
    assert targets.target(None, song_over=True) is None
    assert targets.target(feeling(SAD, stale=True)) is None
    assert targets.target(feeling(SAD, stale=True), song_over=True) == ALIGNMENT.to_music(SAD)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_feeling_that_is_no_number_seeks_nothing_and_is_not_sure(value: float) -> None:
    strange = feeling(ValenceArousal(0.0, value))
    targets = Targets(ALIGNMENT)
    assert targets.target(strange) is None
    assert targets.target(strange, song_over=True) is None
    targets = walking()
    assert next_song(targets, feeling(SAD)) == (-0.5, 0.0)
    assert next_song(targets, strange) == (-0.5, 0.0)
    assert after_song(targets, [(strange, 29.0), (feeling(SAD), 0.1)]) == (-0.5, 0.0)


@pytest.mark.parametrize(("mode", "goal"), [(Mode.CALM, CALM_GOAL), (Mode.ENERGIZE, ENERGIZE_GOAL)])
def test_calm_and_energize_seek_their_goal_whatever_is_felt(mode: Mode, goal: ValenceArousal) -> None:
    targets = Targets(ALIGNMENT, mode=mode)
    for stable in (None, feeling(SAD), feeling(GLAD, stale=True)):
        assert targets.target(stable) == goal


def test_manual_seeks_the_mood_that_was_set() -> None:
    targets = Targets(ALIGNMENT, mode=Mode.MANUAL, mood=SAD)
    assert targets.target(None) == ALIGNMENT.to_music(SAD)
    targets.set_mood(valence=GLAD.valence, arousal=GLAD.arousal)
    assert targets.target(feeling(SAD)) == ALIGNMENT.to_music(GLAD)


def test_one_axis_of_the_mood_is_set_alone() -> None:
    targets = Targets(ALIGNMENT, mode=Mode.MANUAL, mood=SAD)
    targets.set_mood(valence=GLAD.valence)
    assert targets.mood == ValenceArousal(GLAD.valence, SAD.arousal)
    targets.set_mood(arousal=GLAD.arousal)
    assert targets.mood == GLAD


def test_off_seeks_nothing() -> None:
    assert Targets(ALIGNMENT, mode=Mode.OFF).target(feeling(SAD), song_over=True) is None


def test_guide_matches_first_then_steps_to_the_goal_song_by_song() -> None:
    goal = ValenceArousal(0.5, 0.25)
    targets = Targets(ALIGNMENT, mode=Mode.GUIDE, guide_goal=goal, guide_steps=4)
    start = ALIGNMENT.to_music(SAD)
    sought = []
    for song in range(7):
        felt = feeling(SAD if song == 0 else GLAD)
        targets.follow(felt, song * 30.0)
        target = targets.target(felt, song_over=song > 0)
        assert target is not None
        sought.append(target)
        targets.song_started(target)
        # within the song it stands still, whatever is felt and however often it is asked
        for stable in (feeling(GLAD), None, feeling(SAD, stale=True)):
            assert targets.target(stable) == pytest.approx(target)
    for song, target in enumerate(sought):
        share = min(song / 4, 1.0)
        assert target == pytest.approx([s + share * (g - s) for s, g in zip(start, goal, strict=True)])
    assert sought[0] == start
    assert sought[4] == sought[6] == goal


def test_guide_follows_the_feeling_until_its_first_song() -> None:
    targets = Targets(ALIGNMENT, mode=Mode.GUIDE)
    assert targets.target(feeling(SAD)) == ALIGNMENT.to_music(SAD)
    assert targets.target(feeling(GLAD), song_over=True) == ALIGNMENT.to_music(GLAD)


def test_entering_guide_begins_anew_and_repeating_it_does_not() -> None:
    targets = Targets(ALIGNMENT, mode=Mode.GUIDE, guide_steps=1)
    for song in range(2):
        targets.follow(feeling(SAD), song * 30.0)
        target = targets.target(feeling(SAD), song_over=True)
        assert target is not None
        targets.song_started(target)
    assert targets.target(feeling(SAD)) == GUIDE_GOAL
    targets.set_mode(Mode.GUIDE)
    assert targets.target(feeling(SAD)) == GUIDE_GOAL
    targets.set_mode(Mode.CALM)
    targets.song_started(CALM_GOAL)
    targets.set_mode(Mode.GUIDE)
    assert targets.mode is Mode.GUIDE
    assert targets.target(feeling(SAD)) == ALIGNMENT.to_music(SAD)


def walking(nearest_music: Callable[[ValenceArousal], float] = lambda _: 0.0) -> Targets:
    """In `guide` from (-1, 0)-ish to a goal in four steps, the first song playing."""
    targets = Targets(
        ALIGNMENT, mode=Mode.GUIDE, guide_goal=ValenceArousal(1.0, 0.0), guide_steps=4, nearest_music=nearest_music
    )
    targets.song_started(ValenceArousal(-1.0, 0.0))
    return targets


def next_song(targets: Targets, stable: StableAffect | None) -> ValenceArousal:
    """A song of 30 s through which the feeling stays as it is, and the point that is sought after it."""
    return after_song(targets, [(stable, 30.0)])


_clock_s = itertools.count(0.0, 1000.0)


def after_song(targets: Targets, felt: Sequence[tuple[StableAffect | None, float]]) -> ValenceArousal:
    """A song through which feelings follow one another, each for some seconds; at its end the last one holds."""
    now_s = next(_clock_s)
    for stable, lasting_s in felt:
        targets.follow(stable, now_s)
        now_s += lasting_s
    targets.follow(felt[-1][0], now_s)
    target = targets.target(felt[-1][0], song_over=True)
    targets.follow(None, now_s, counts=False)  # the time to the next song is nobody's
    assert target is not None
    targets.song_started(target)
    return target


HELD = StableAffect(SAD, ValenceArousal(0.1, 0.1), (True, False), 0.3)


@pytest.mark.parametrize(
    "unsure",
    [None, feeling(SAD, stale=True), HELD, StableAffect(SAD, ValenceArousal(0.1, 0.1), (False, True), 0.3)],
)
def test_guide_waits_while_the_feeling_is_uncertain(unsure: StableAffect | None) -> None:
    targets = walking()
    assert next_song(targets, feeling(SAD)) == (-0.5, 0.0)
    for _ in range(3):
        assert next_song(targets, unsure) == (-0.5, 0.0)
        assert targets.path is not None
        assert (targets.path.at, targets.path.waits) == (1, "uncertain")
    assert next_song(targets, feeling(SAD)) == (0.0, 0.0)
    assert targets.path.waits == ""


def test_one_held_frame_at_a_songs_end_stops_nothing_and_one_sure_frame_starts_nothing() -> None:
    targets = walking()
    assert after_song(targets, [(feeling(SAD), 29.0), (HELD, 0.1)]) == (-0.5, 0.0)
    assert after_song(targets, [(HELD, 29.0), (feeling(SAD), 0.1)]) == (-0.5, 0.0)
    assert targets.path is not None
    assert targets.path.waits == "uncertain"
    # nobody there at the end: no step, however sure it was before
    assert after_song(targets, [(feeling(SAD), 29.0), (feeling(SAD, stale=True), 0.1)]) == (-0.5, 0.0)
    # frames held in turns with sure ones count by the time that each stands
    assert after_song(targets, [(feeling(SAD), 0.3), (HELD, 0.1)] * 60) == (0.0, 0.0)
    assert after_song(targets, [(feeling(SAD), 0.1), (HELD, 0.3)] * 60) == (0.0, 0.0)


def test_a_skip_at_once_is_judged_by_the_seconds_before_it_and_a_pause_by_none() -> None:
    targets = walking()
    assert next_song(targets, feeling(SAD)) == (-0.5, 0.0)
    assert after_song(targets, [(HELD, 0.2)]) == (0.0, 0.0)
    assert next_song(targets, HELD) == (0.0, 0.0)
    assert after_song(targets, [(feeling(SAD), 0.2)]) == (0.0, 0.0)
    targets = walking()
    now_s = next(_clock_s)
    targets.follow(feeling(SAD), now_s)
    for at_s in (10.0, 500.0):
        targets.follow(HELD, now_s + at_s, counts=False)
    targets.follow(feeling(SAD), now_s + 505.0)
    assert targets.target(feeling(SAD), song_over=True) == (-0.5, 0.0)


def test_guide_shortens_a_step_without_music_and_waits_where_none_is_shorter() -> None:
    edge = 1.0
    targets = walking(lambda point: 0.0 if point.valence <= edge else 1.0)
    edge = -0.6
    assert next_song(targets, feeling(SAD)) == (-0.625, 0.0)  # three quarters of a step
    assert targets.path is not None
    assert targets.path.waits == "shorter"
    assert next_song(targets, feeling(SAD)) == (-0.625, 0.0)
    assert targets.path.waits == "unreachable"
    edge = 1.0
    walked = [next_song(targets, feeling(SAD)).valence for _ in range(5)]
    assert walked == pytest.approx([-0.125, 0.375, 0.875, 1.0, 1.0])


def test_guide_leaves_a_place_without_music_only_towards_music() -> None:
    targets = walking(lambda point: 0.3 - 0.01 * point.valence)
    assert next_song(targets, feeling(SAD)) == (-0.5, 0.0)
    assert targets.path is not None
    assert targets.path.waits == ""
    for no_nearer in (lambda _: 0.3, lambda point: 0.3 + 0.01 * point.valence):
        targets = walking(no_nearer)
        assert next_song(targets, feeling(SAD)) == (-1.0, 0.0)
        assert targets.path is not None
        assert targets.path.waits == "unreachable"


def test_the_path_is_told_from_its_start_to_the_goal() -> None:
    targets = Targets(ALIGNMENT, mode=Mode.GUIDE)
    assert targets.path is None
    targets = walking()
    next_song(targets, feeling(SAD))
    path = targets.path
    assert path is not None
    assert path.points == ((-1.0, 0.0), (-0.5, 0.0), (0.0, 0.0), (0.5, 0.0), (1.0, 0.0))
    assert path.at == 1
    targets.set_mode(Mode.MIRROR)
    assert targets.path is None


def test_a_song_that_fails_takes_its_step_back() -> None:
    targets = walking()
    next_song(targets, feeling(SAD))
    targets.song_failed()
    assert targets.path is not None
    assert targets.path.at == 0
    targets.song_failed()
    assert targets.path is None


def test_a_switch_within_the_song_is_no_step() -> None:
    targets = walking()
    same = targets.target(feeling(SAD))
    assert same is not None
    targets.song_started(same)
    assert targets.path is not None
    assert targets.path.at == 0


def test_a_calibration_shifts_what_is_felt_and_nothing_else() -> None:
    shift = ValenceArousal(0.5, -0.25)
    shifted = Targets(ALIGNMENT, shift=shift)
    moved = ValenceArousal(SAD.valence + 0.5, SAD.arousal - 0.25)
    assert shifted.target(feeling(SAD)) == ALIGNMENT.to_music(moved)
    sought = shifted.target(feeling(SAD))
    assert sought is not None
    # What is sought for a feeling is drawn on it, as it is felt and shown.
    assert shifted.to_felt(sought) == pytest.approx(SAD)
    assert Targets(ALIGNMENT, mode=Mode.MANUAL, mood=SAD, shift=shift).target(None) == ALIGNMENT.to_music(SAD)


@pytest.mark.parametrize("goal", [CALM_GOAL, ENERGIZE_GOAL, GUIDE_GOAL])
def test_goals_lie_where_deam_holds_music(goal: ValenceArousal) -> None:
    """At least fifty songs within 0.1 of the goal from a start that leaves dwell and fade."""
    index = read_index(packaged_deam_index())
    near = ((index.points - goal) ** 2).sum(axis=1) < 0.1**2
    whole = index.song_end_s[index.song] - index.start_s >= 27
    assert len(set(index.song[near & whole].tolist())) >= 50


@pytest.mark.parametrize("start", [(-3, 0), (-3, 6), (3, 0), (3, 6), (-1.8, 4.0), (-0.4, 1.7), (0, 0), (0, 6)])
def test_in_deam_the_way_leads_from_any_feeling_to_the_default_goal(start: tuple[float, float]) -> None:
    index = read_index(packaged_deam_index())
    points = index.points[index.song_end_s[index.song] - index.start_s >= 27]

    def nearest_music(point: ValenceArousal) -> float:
        return float(np.hypot(*(points - np.array(point, np.float32)).T).min())

    targets = Targets(Alignment(index), mode=Mode.GUIDE, nearest_music=nearest_music)
    felt = feeling(ValenceArousal(*start))
    first = targets.target(felt)
    assert first is not None
    targets.song_started(first)
    assert [next_song(targets, felt) for _ in range(6)][-1] == pytest.approx(GUIDE_GOAL)


@pytest.mark.parametrize(("steps", "fits"), [(3, False), (4, True), (6, True), (7, False)])
def test_the_way_has_four_to_six_steps(steps: int, fits: bool) -> None:
    if fits:
        assert ModeSettings(guide_steps=steps).guide_steps == steps
    else:
        with pytest.raises(ValidationError, match="guide_steps"):
            ModeSettings(guide_steps=steps)
