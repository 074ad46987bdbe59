"""The music side of a step: what the mode seeks, the song that fits it, and the player that plays it."""

from __future__ import annotations

from dataclasses import dataclass

from emomusic_edge.contracts import (
    ChoiceReason,
    GuideStatus,
    Mode,
    PlaybackStatus,
    Player,
    Segment,
    StableAffect,
    ValenceArousal,
)

from .choice.feedback import Counts, early_s
from .choice.feedback_memory import FeedbackMemory
from .groups.companion import Alone, Companion, SharedSong
from .matcher import Matcher
from .quarantine import Quarantine
from .targets import Targets
from .timing import PassingReason

UNPLAYABLE_SHOWN_S = 30.0
# A song that does not decode says so within a few tenths of a second.
_TRULY_PLAYS_S = 2.0
# A skip within the first second is of a song that nobody has heard yet: the fade brings it in over two.
_HEARD_S = 1.0
# At most three skips a second, however often the button is pressed: a later press waits for its turn.
_SKIP_INTERVAL_S = 1 / 3


@dataclass(frozen=True, slots=True)
class MusicState:
    """What the music does after a step.

    Attributes:
        target: where music is sought, in DEAM units; None when nothing is sought.
        chosen: what the matcher last chose; None before the first choice and when the mode is off.
        playback: what the player does.
        reason: why there is no sound, or which song could not be played; empty when all is well.
        path: how far `guide` has come; None in other modes and before its first song.
        likes_reason: why likes are not kept; empty when all is well.
        because: why `chosen` was chosen; None without a choice.
    """

    target: ValenceArousal | None
    chosen: Segment | None
    playback: PlaybackStatus
    reason: str
    path: GuideStatus | None = None
    likes_reason: str = ""
    because: ChoiceReason | None = None


class Music:
    """Steps with the loop: `step(stable, now_s) -> MusicState`. Between steps it takes a person's wishes."""

    def __init__(
        self,
        targets: Targets,
        matcher: Matcher,
        player: Player,
        feedback: FeedbackMemory | None = None,
        companion: Companion | None = None,
    ) -> None:
        """Bind the parts.

        Args:
            targets: what the mode seeks.
            matcher: which song.
            player: plays it.
            feedback: what likes taught; without it, likes are kept until the end of the run.
            companion: the group that this node plays along with; without it, none.
        """
        self._targets = targets
        self._matcher = matcher
        self._player = player
        self._feedback = feedback or FeedbackMemory()
        self._companion = companion or Alone()
        self._judged = -1
        self._opinion: Counts | None = None
        self._told: tuple[Segment, Counts] | None = None
        self._nothing_plays = PassingReason(UNPLAYABLE_SHOWN_S)
        self._skip_from_s = float("-inf")
        self._quarantine = Quarantine()
        self._unplayable = PassingReason(UNPLAYABLE_SHOWN_S)
        self._last_failure = ""
        self._chosen: Segment | None = None
        self._because: ChoiceReason | None = None
        self._unproven = False  # whether what was chosen last has neither truly played nor failed yet
        self._skip = False

    @property
    def mode(self) -> Mode:
        """What the music does with the feeling."""
        return self._targets.mode

    def to_felt(self, target: ValenceArousal) -> ValenceArousal:
        """Where a target (DEAM units) stands among what people feel (FindingEmo units)."""
        return self._targets.to_felt(target)

    def skip(self) -> None:
        """Go to another song at the next step."""
        self._skip = True

    def like(self) -> None:
        """The song that plays at the next step is welcome; of one playing the last word counts, and it counts once."""
        self._opinion = Counts(likes=1)

    def dislike(self) -> None:
        """The song that plays at the next step is not welcome; it plays on."""
        self._opinion = Counts(dislikes=1)

    def forget(self) -> None:
        """Wipe what likes, dislikes and skips taught."""
        self._opinion = self._told = None
        self._feedback.forget()

    def pause(self, now_s: float) -> None:
        """Stand still."""
        self._player.pause(now_s)

    def resume(self, now_s: float) -> None:
        """Undo pause()."""
        self._player.resume(now_s)

    def set_volume(self, volume: float) -> None:
        """Set the volume, 0..1."""
        self._player.set_volume(volume)

    def set_mode(self, mode: Mode) -> None:
        """Change the mode."""
        self._targets.set_mode(mode)

    @property
    def mood(self) -> ValenceArousal:
        """The mood that `manual` plays to, FindingEmo units."""
        return self._targets.mood

    def set_mood(self, *, valence: float | None = None, arousal: float | None = None) -> None:
        """Set the mood that `manual` plays to, FindingEmo units; an axis that is None stays as it is."""
        self._targets.set_mood(valence=valence, arousal=arousal)

    def step(self, stable: StableAffect | None, now_s: float) -> MusicState:
        """Choose for the mode's target, and play what was chosen.

        Args:
            stable: the steadied feeling; None before the first one.
            now_s: the loop's clock.
        """
        playback = self._player.status(now_s)
        self._follow_failures(playback, now_s)
        self._take_opinion(playback, now_s)
        self._targets.follow(stable, now_s, counts=not playback.paused)
        waits = self._quarantine.pausing(now_s)
        skip = False if waits else self._skips(playback, now_s)
        own = self._targets.target(stable, song_over=playback.ended or skip)
        advice = self._companion.advise(own, self.mode, playback, now_s)
        target = own if advice.target is None else advice.target
        if self.mode is Mode.OFF:
            self._skip = False
            self._chosen = None
            # Told all the same, so that it sees what stopped meanwhile.
            self._matcher.choose(None, now_s, playback)
            if playback.segment is not None:
                self._player.stop(now_s)
        elif not waits:
            self._judge()
            holds = advice.holds if advice.song is None else self._play_along(advice.song, now_s)
            chosen = self._matcher.choose(None if holds else target, now_s, playback, skip=skip and not holds)
            if chosen is not None:
                self._targets.song_started(target if advice.target is None else None)
                at_s = self._companion.starts(chosen, now_s, at_once=skip)
                self._play(chosen, self._matcher.because, now_s, at_once=skip, at_s=at_s)
            playback = self._player.status(now_s)
        return MusicState(
            target,
            self._chosen,
            playback,
            playback.reason or self._why_not(now_s),
            self._targets.path,
            self._nothing_plays.at(now_s) or self._feedback.reason,
            None if self._chosen is None else self._because,
        )

    def _skips(self, playback: PlaybackStatus, now_s: float) -> bool:
        """Whether to go to another song in this step: a person wants it, here or next to another node."""
        skip = self._companion.skip_due(now_s)
        if self._skip and now_s >= self._skip_from_s and self.mode is not Mode.OFF:
            self._skip, self._skip_from_s = False, now_s + _SKIP_INTERVAL_S
            self._learn_from_skip(playback)
            skip = skip or not self._companion.pass_on_skip(now_s)
        return skip

    def _play_along(self, song: SharedSong, now_s: float) -> bool:
        """Play what the group plays; False where it cannot be played here."""
        segment = self._matcher.take(song.song_id, song.start_s, song.song_end_s, now_s)
        if segment is None:
            self._companion.lacks(song)
            return False
        self._targets.song_started(None)
        self._play(segment, "group", now_s, at_once=song.at_once, at_s=song.at_s)
        return True

    def _take_opinion(self, playback: PlaybackStatus, now_s: float) -> None:
        opinion, self._opinion = self._opinion, None
        if opinion is None:
            return
        if playback.segment is None:
            self._nothing_plays.note("nothing plays that could be liked or disliked", now_s)
            return
        before = self._told[1] if self._told is not None and self._told[0] == playback.segment else Counts()
        if opinion != before:
            self._told = (playback.segment, opinion)
            self._feedback.note(playback.segment.song_id, opinion - before)

    def _learn_from_skip(self, playback: PlaybackStatus) -> None:
        """Count a skip that somebody who heard the song asked for early."""
        playing = playback.segment
        if playing is None or playback.ended or playback.paused or playback.muted or playback.volume == 0:
            return
        heard_s = playback.position_s - playing.start_s
        if _HEARD_S <= heard_s < early_s(playing.song_end_s - playing.start_s):
            self._feedback.note(playing.song_id, Counts(skips=1))

    def _judge(self) -> None:
        if self._judged != (version := self._feedback.version):
            self._judged = version
            self._matcher.judge(self._feedback.counts())

    def _why_not(self, now_s: float) -> str:
        """The song that could not be played last; for as long as none can, or for a while."""
        if self._quarantine.in_a_row > 1:
            return (
                f"no song could be played lately, and they are tried again each minute; the last: {self._last_failure}"
            )
        return self._unplayable.at(now_s)

    def _play(self, chosen: Segment, because: ChoiceReason, now_s: float, *, at_once: bool, at_s: float | None) -> None:
        self._chosen, self._because, self._unproven = chosen, because, True
        self._told = None
        self._player.play(chosen, now_s, at_once=at_once, at_s=at_s)
        # for the choice after this one
        self._feedback.refresh()

    def _follow_failures(self, playback: PlaybackStatus, now_s: float) -> None:
        """Keep songs that do not decode out for a while."""
        for song_id, reason in self._player.failures():
            self._matcher.exclude(song_id)
            if self._unproven and self._chosen is not None and self._chosen.song_id == song_id:
                self._unproven = False
                self._targets.song_failed()
            self._quarantine.failed(song_id, now_s)
            self._unplayable.note(reason, now_s)
            self._last_failure = reason
        playing = playback.segment
        if playing is not None and not playback.muted and playback.position_s - playing.start_s > _TRULY_PLAYS_S:
            self._quarantine.played(playing.song_id)
            if self._chosen is not None and playing.song_id == self._chosen.song_id:
                self._unproven = False
        for song_id in self._quarantine.released(now_s, others=self._matcher.playable_songs > 0):
            self._matcher.include(song_id)
