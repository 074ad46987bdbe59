"""What each mode seeks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sample_index import sample_index

from emomusic_edge.affect import DEAM, FINDINGEMO
from emomusic_edge.contracts import Mode, StableAffect, ValenceArousal
from emomusic_edge.deam_index.alignment import Alignment
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.paths import packaged_deam_index
from emomusic_edge.runtime.targets import CALM_GOAL, ENERGIZE_GOAL, GUIDE_GOAL, Targets

ALIGNMENT = Alignment(sample_index(reference_mean=DEAM.mean, reference_sd=DEAM.sd))
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
        target = targets.target(feeling(SAD if song == 0 else GLAD), song_over=song > 0)
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
    for _ in range(2):
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
    target = targets.target(stable, song_over=True)
    assert target is not None
    targets.song_started(target)
    return target


@pytest.mark.parametrize(
    "unsure",
    [
        None,
        feeling(SAD, stale=True),
        StableAffect(SAD, ValenceArousal(0.1, 0.1), (True, False), 0.3),
        StableAffect(SAD, ValenceArousal(0.1, 0.1), (False, True), 0.3),
    ],
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


def test_guide_goes_on_where_waiting_would_cost_as_much() -> None:
    targets = walking(lambda point: 0.3 - 0.01 * point.valence)
    assert next_song(targets, feeling(SAD)) == (-0.5, 0.0)
    assert targets.path is not None
    assert targets.path.waits == ""


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
    assert Targets(ALIGNMENT, mode=Mode.MANUAL, mood=SAD, shift=shift).target(None) == ALIGNMENT.to_music(SAD)


@pytest.mark.parametrize("goal", [CALM_GOAL, ENERGIZE_GOAL, GUIDE_GOAL])
def test_goals_lie_where_deam_holds_music(goal: ValenceArousal) -> None:
    """At least fifty songs within 0.1 of the goal from a start that leaves dwell and fade."""
    index = read_index(packaged_deam_index())
    near = ((index.points - goal) ** 2).sum(axis=1) < 0.1**2
    whole = index.song_end_s[index.song] - index.start_s >= 27
    assert len(set(index.song[near & whole].tolist())) >= 50
