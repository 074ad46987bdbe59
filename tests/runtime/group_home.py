"""Rooms of one group, step by step: the real matcher, targets, player (without a device) and group, in made-up time.

The broker is a dictionary here, so that hours pass in seconds; groups/test_group_start.py has the real one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from sample_index import sample_index

from emomusic_edge.contracts import PlaybackStatus, Segment, StableAffect, StateSnapshot, ValenceArousal
from emomusic_edge.deam_index.alignment import Alignment
from emomusic_edge.deam_index.audio_files import AudioRoots
from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.runtime.audio.player import MusicPlayer
from emomusic_edge.runtime.choice.rule import ChoiceRule
from emomusic_edge.runtime.groups.following import Play
from emomusic_edge.runtime.groups.group import Group
from emomusic_edge.runtime.groups.messages import GroupSettings
from emomusic_edge.runtime.matcher import Matcher
from emomusic_edge.runtime.mqtt.line import Outgoing, Received
from emomusic_edge.runtime.music import Music, MusicState
from emomusic_edge.runtime.targets import Targets

GLAD = ValenceArousal(1.5, 3.5)
SAD = ValenceArousal(-1.5, 2.0)
STEP_S = 0.1
SONG_S = 60.0


def made_index(songs: int = 40) -> MusicIndex:
    points = np.random.default_rng(1).uniform(-0.5, 0.5, (40, 2)).astype(np.float32)[:songs]
    return sample_index(
        points=points,
        start_s=np.full(songs, 5, np.float32),
        end_s=np.full(songs, 15, np.float32),
        song=np.arange(songs, dtype=np.int32),
        song_ids=tuple(f"s{row}" for row in range(songs)),
        titles=("",) * songs,
        files=tuple(f"s{row}.ogg" for row in range(songs)),
        song_end_s=np.full(songs, 5 + SONG_S, np.float32),
    )


class Room:
    """One node: a line to the home's broker, and a clock of its own."""

    def __init__(self, home: Home, number: int, play: Play, skew_s: float, index: MusicIndex, feels: ValenceArousal):
        self.home, self.skew_s, self.feels = home, skew_s, feels
        self.seen = True
        self.online = True
        self.player = MusicPlayer(None)
        self.group = Group(GroupSettings("home", play), f"room-{number}", run=f"{number:08x}", clock=self.now_s)
        matcher = Matcher(index, AudioRoots(Path("/nowhere")), np.ones(index.song_count, np.bool_), ChoiceRule())
        targets = Targets(Alignment(index), nearest_music=matcher.nearest_music)
        self.music = Music(targets, matcher, self.player, None, self.group)
        self.subscriptions = {one.pattern: one for one in self.group.subscriptions()}
        self.state: MusicState | None = None
        self.connect()

    def now_s(self) -> float:
        return self.home.now_s + self.skew_s

    def connect(self) -> None:
        self.online = True
        self.group.before_online(self)
        for topic, payload in self.home.retained.items():
            self.hear(topic, payload, retained=True)

    def hear(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        one = self.subscriptions.get(topic)
        if one is not None and self.online and (one.kept or not retained):
            one.heard(Received(topic, payload, retained))

    # Line

    @property
    def ready(self) -> bool:
        return self.online

    def send(self, message: Outgoing) -> bool:
        if self.online:
            payload = message.payload if isinstance(message.payload, bytes) else message.payload.encode()
            self.home.tell(self, message.topic, payload, message.retained)
        return self.online

    # What a person sees

    def step(self) -> None:
        felt = StableAffect(self.feels, ValenceArousal(0.1, 0.1), (False, False), 0.0)
        self.state = self.music.step(felt if self.seen else None, self.now_s())
        if self.online:
            self.group.step(StateSnapshot(0, self.now_s(), self.music.mode), self.now_s(), self)

    @property
    def playback(self) -> PlaybackStatus:
        return self.player.status(self.now_s())

    @property
    def song(self) -> Segment | None:
        return self.playback.segment

    @property
    def began_s(self) -> float:
        """When the song's first second would have sounded, on the home's clock."""
        return self.home.now_s - self.playback.position_s


class Home:
    """The broker and its rooms."""

    def __init__(self, *plays: Play, songs: int = 40, songs_of_last: int = 40) -> None:
        self.now_s = 0.0
        self.retained: dict[str, bytes] = {}
        self.told: list[tuple[float, str]] = []
        self.echoes = False
        self.rooms: list[Room] = []
        for number, play in enumerate(plays):
            index = made_index(songs_of_last if number == len(plays) - 1 else songs)
            feels = (GLAD, SAD, ValenceArousal(0.0, 1.0))[number]
            self.rooms.append(Room(self, number + 1, play, (0.0, 1234.5, 77.7)[number], index, feels))

    def tell(self, sender: Room, topic: str, payload: bytes, retained: bool) -> None:
        self.told.append((self.now_s, topic))
        if retained:
            self.retained.pop(topic, None)
            if payload:
                self.retained[topic] = payload
        for room in self.rooms:
            if room is not sender or self.echoes:
                room.hear(topic, payload)

    def run(self, seconds: float, each: Callable[[], None] = lambda: None) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            for room in self.rooms:
                room.step()
            each()

    @property
    def leader(self) -> Room:
        (leader,) = [room for room in self.rooms if room.group.leads and room.online]
        return leader

    @property
    def follower(self) -> Room:
        return next(room for room in self.rooms if not room.group.leads)


def together(*rooms: Room) -> bool:
    """The same song, in step: no room's line takes time here, so to within the player's reckoning."""
    songs = {room.song and (room.song.song_id, room.song.start_s) for room in rooms}
    began = [room.began_s for room in rooms]
    return len(songs) == 1 and None not in songs and max(began) - min(began) < 0.01
