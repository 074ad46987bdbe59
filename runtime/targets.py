"""What each mode seeks: from the steadied feeling to the point where music is looked for."""

from __future__ import annotations

import math
from collections.abc import Callable

from emomusic_edge.affect import FINDINGEMO
from emomusic_edge.contracts import GuideStatus, Mode, StableAffect, ValenceArousal
from emomusic_edge.deam_index.alignment import Alignment

from .choice.guide_path import GuidePath
from .choice.sure_time import SureTime

# Goals lie where DEAM holds music: a choice among few songs repeats itself. Counted are its 1,802 songs with a window
# within 0.1 of the point that leaves 27 s of sound (dwell and fade). The literature gives directions (calm: low
# arousal; both: not unpleasant), no coordinates.
CALM_GOAL = ValenceArousal(0.15, -0.2)
"""DEAM units; 1.2 sd below DEAM's mean arousal, and not sad; the plane is thin there: 62 songs."""
ENERGIZE_GOAL = ValenceArousal(0.35, 0.4)
"""DEAM units; 1 sd above DEAM's mean on both axes: 163 songs."""
GUIDE_GOAL = ValenceArousal(0.3, 0.0)
"""DEAM units; pleasant, a little calmer than DEAM's mean: 64 songs."""
MANUAL_MOOD = ValenceArousal(1.0, 2.0)
"""FindingEmo units; content and quiet, until somebody sets a mood."""


NO_SHIFT = ValenceArousal(0.0, 0.0)


class Targets:
    """Holds the mode and how far `guide` has come; told with each step what is felt (`follow`). `target` moves nothing.

    In `guide` the target stands still within a song (see choice/guide_path.py).
    """

    def __init__(
        self,
        alignment: Alignment,
        *,
        mode: Mode = Mode.MIRROR,
        mood: ValenceArousal = MANUAL_MOOD,
        guide_goal: ValenceArousal = GUIDE_GOAL,
        guide_steps: int = 5,
        nearest_music: Callable[[ValenceArousal], float] = lambda _: 0.0,
        shift: ValenceArousal = NO_SHIFT,
    ) -> None:
        """Start in a mode.

        Args:
            alignment: from people's affect to that of music.
            mode: the first mode.
            mood: what `manual` plays to, FindingEmo units.
            guide_goal: where `guide` leads, DEAM units.
            guide_steps: >= 1; the song that many after the first reaches the goal, if nothing holds it up.
            nearest_music: how far from a point the nearest song is that may be chosen, DEAM units.
            shift: added to what is felt, FindingEmo units: a person's calibration.
        """
        self._alignment = alignment
        self._mode = mode
        self._mood = mood
        self._goal = guide_goal
        self._steps = guide_steps
        self._nearest_music = nearest_music
        self._shift = shift
        self._path: GuidePath | None = None
        self._stepped = False
        self._waits = ""
        self._sure = SureTime()

    @property
    def mode(self) -> Mode:
        """The current mode."""
        return self._mode

    @property
    def path(self) -> GuideStatus | None:
        """How far `guide` has come; None in other modes and before its first song."""
        return None if self._path is None else self._path.status(self._waits)

    def set_mode(self, mode: Mode) -> None:
        """Change the mode. Entering `guide` begins its way anew; setting the mode that is on changes nothing."""
        if mode is self._mode:
            return
        self._mode = mode
        self._path = None

    @property
    def mood(self) -> ValenceArousal:
        """The mood that `manual` plays to, FindingEmo units."""
        return self._mood

    def set_mood(self, *, valence: float | None = None, arousal: float | None = None) -> None:
        """Set the mood that `manual` plays to, FindingEmo units; an axis that is None stays as it is."""
        self._mood = ValenceArousal(
            self._mood.valence if valence is None else valence, self._mood.arousal if arousal is None else arousal
        )

    def follow(self, stable: StableAffect | None, now_s: float, *, counts: bool = True) -> None:
        """Take what is felt from now on: `guide` goes on only where it was sure for most of a song.

        Args:
            stable: the steadied feeling.
            now_s: the loop's clock.
            counts: False in a pause, whose time is no song's.
        """
        stable = _numbers(stable)
        sure = stable is not None and not stable.stale and not any(stable.held)
        self._sure.note(sure if counts else None, now_s)

    def song_started(self, target: ValenceArousal | None) -> None:
        """Tell that a song was chosen for `target`; `guide` takes the first one's target as its start.

        Args:
            target: as `target` gave it; None for a song of a group, which is no step of this node's way.
        """
        self._sure.song_started()
        if target is None:
            self._stepped = False
        if target is None or self._mode is not Mode.GUIDE:
            return
        if self._path is None:
            self._path = GuidePath(target, self._goal, self._steps, self._nearest_music)
            self._stepped, self._waits = False, ""
        else:
            self._stepped = self._path.song_started(target)

    def song_failed(self) -> None:
        """Tell that the song chosen last cannot play: `guide` has not come a step further."""
        if self._path is None:
            return
        if self._stepped:
            self._path.step_back()
            self._stepped = False
        elif self._path.at_start:
            self._path = None

    def target(self, stable: StableAffect | None, *, song_over: bool = False) -> ValenceArousal | None:
        """Where music is sought, in DEAM units.

        Args:
            stable: the steadied feeling; None before the first one. A stale one moves nothing: it counts as None
                until the song is over, and then keeps the music going. One that is no number counts as None.
            song_over: whether the playing song has ended or is skipped, so that the next one is looked for.

        Returns:
            None where nothing is sought: `off`, or no feeling that may be acted upon in `mirror` and at the start of
            `guide`.
        """
        stable = _numbers(stable)
        if self._mode is Mode.OFF:
            return None
        if self._mode is Mode.CALM:
            return CALM_GOAL
        if self._mode is Mode.ENERGIZE:
            return ENERGIZE_GOAL
        if self._mode is Mode.MANUAL:
            return self._alignment.to_music(self._mood)
        if self._path is not None:
            if not song_over:
                return self._path.point
            point, self._waits = self._path.next_point(stable, self._sure.share)
            return point
        if stable is None or (stable.stale and not song_over):
            return None
        return self._alignment.to_music(self._felt(stable))

    def to_felt(self, target: ValenceArousal) -> ValenceArousal:
        """What somebody would have to feel, as it is shown (FindingEmo units), for a target (DEAM units)."""
        felt = self._alignment.to_felt(target)
        return FINDINGEMO.clip(ValenceArousal(felt.valence - self._shift.valence, felt.arousal - self._shift.arousal))

    def _felt(self, stable: StableAffect) -> ValenceArousal:
        return FINDINGEMO.clip(
            ValenceArousal(stable.mean.valence + self._shift.valence, stable.mean.arousal + self._shift.arousal)
        )


def _numbers(stable: StableAffect | None) -> StableAffect | None:
    """The feeling, unless it is no number: no window is near to that."""
    return stable if stable is not None and all(map(math.isfinite, stable.mean)) else None
