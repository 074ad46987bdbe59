"""What each mode seeks: from the steadied feeling to the point where music is looked for."""

from __future__ import annotations

from emomusic_edge.contracts import Mode, StableAffect, ValenceArousal
from emomusic_edge.deam_index.alignment import Alignment

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


class Targets:
    """Holds the mode and how far `guide` has come; `target` changes nothing.

    guide follows the iso principle (Altshuler 1948; Starcke et al., IJERPH 18:12486, 2021): the first song matches the
    feeling, and each song after it lies one step nearer to the goal, on a straight line, whatever is felt meanwhile.
    Within a song the target stands still.
    """

    def __init__(
        self,
        alignment: Alignment,
        *,
        mode: Mode = Mode.MIRROR,
        mood: ValenceArousal = MANUAL_MOOD,
        guide_goal: ValenceArousal = GUIDE_GOAL,
        guide_steps: int = 5,
    ) -> None:
        """Start in a mode.

        Args:
            alignment: from people's affect to that of music.
            mode: the first mode.
            mood: what `manual` plays to, FindingEmo units.
            guide_goal: where `guide` leads, DEAM units.
            guide_steps: >= 1; the song that many after the first reaches the goal.
        """
        self._alignment = alignment
        self._mode = mode
        self._mood = mood
        self._goal = guide_goal
        self._steps = guide_steps
        self._guide_start: ValenceArousal | None = None
        self._guide_songs = 0

    @property
    def mode(self) -> Mode:
        """The current mode."""
        return self._mode

    def set_mode(self, mode: Mode) -> None:
        """Change the mode. Entering `guide` begins its way anew; setting the mode that is on changes nothing."""
        if mode is self._mode:
            return
        self._mode = mode
        self._guide_start = None
        self._guide_songs = 0

    def set_mood(self, mood: ValenceArousal) -> None:
        """Set the mood that `manual` plays to, FindingEmo units."""
        self._mood = mood

    def song_started(self, target: ValenceArousal) -> None:
        """Tell that a song was chosen for `target`; `guide` takes the first one's target as its start."""
        if self._mode is not Mode.GUIDE:
            return
        if self._guide_start is None:
            self._guide_start = target
        self._guide_songs += 1

    def song_failed(self) -> None:
        """Tell that the song chosen last cannot play: `guide` has not come a step further."""
        if self._mode is not Mode.GUIDE or self._guide_songs == 0:
            return
        self._guide_songs -= 1
        if self._guide_songs == 0:
            self._guide_start = None

    def target(self, stable: StableAffect | None, *, song_over: bool = False) -> ValenceArousal | None:
        """Where music is sought, in DEAM units.

        Args:
            stable: the steadied feeling; None before the first one. A stale one moves nothing: it counts as None
                until the song is over, and then keeps the music going.
            song_over: whether the playing song has ended or is skipped, so that the next one is looked for.

        Returns:
            None where nothing is sought: `off`, or no feeling that may be acted upon in `mirror` and at the start of
            `guide`.
        """
        if self._mode is Mode.OFF:
            return None
        if self._mode is Mode.CALM:
            return CALM_GOAL
        if self._mode is Mode.ENERGIZE:
            return ENERGIZE_GOAL
        if self._mode is Mode.MANUAL:
            return self._alignment.to_music(self._mood)
        if self._guide_start is not None:
            song = self._guide_songs if song_over else self._guide_songs - 1
            return _between(self._guide_start, self._goal, min(1.0, song / self._steps))
        if stable is None or (stable.stale and not song_over):
            return None
        return self._alignment.to_music(stable.mean)


def _between(start: ValenceArousal, goal: ValenceArousal, share: float) -> ValenceArousal:
    return ValenceArousal(
        (1.0 - share) * start.valence + share * goal.valence,
        (1.0 - share) * start.arousal + share * goal.arousal,
    )
