"""Messages: the builders tell a snapshot in the documented units and never break their own schema."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sample_snapshot import SNAPSHOT, SONG

from emomusic_edge.affect import FINDINGEMO, mood_label
from emomusic_edge.contracts import (
    GuideStatus,
    Mode,
    Pace,
    PlaybackStatus,
    StableAffect,
    StateSnapshot,
    ValenceArousal,
)
from emomusic_edge.runtime.mqtt.messages import (
    PLAINTEXT_NOTICE,
    TOPICS,
    ClaimMessage,
    DeviceFacts,
    HealthMessage,
    LineNow,
    ModelFact,
    MusicMessage,
    StateMessage,
    health_message,
    music_message,
    state_message,
)

AT = datetime(2026, 11, 22, 23, 5, 7, 120_000, tzinfo=timezone.utc)
finite = st.floats(allow_nan=False, allow_infinity=False)
durations = st.floats(min_value=0, max_value=1e9)


def test_state_tells_affect_in_both_scales() -> None:
    told = json.loads(state_message(SNAPSHOT, AT).payload())
    assert told["at"] == "2026-11-22T23:05:07.120Z"
    assert told["mode"] == "mirror"
    assert told["mood"] == "pleasure"
    assert told["valence"] == {"value": 1.5, "normalised": 0.75, "variance": 0.09, "sd": 0.3, "held": False}
    assert told["arousal"] == {"value": 3.0, "normalised": 0.5, "variance": 0.16, "sd": 0.4, "held": True}
    assert told["face"] == {"present": True, "count": 2, "score": 0.934}
    assert told["sources"] == ["face", "scene"]
    assert (told["age_s"], told["stale"]) == (0.4, False)
    assert (told["frames_per_second"], told["latency_ms"]) == (10.0, 41.2)
    assert told["manual_mood"] == {"valence": 1.5, "arousal": 2.0}


def test_state_invents_nothing_before_the_first_estimate() -> None:
    told = state_message(StateSnapshot(seq=0, t_s=0.0, mode=Mode.MIRROR), AT)
    assert told.valence is None
    assert told.arousal is None
    assert told.mood is None
    assert told.age_s is None
    assert told.face.score is None
    assert not told.face.present
    assert told.sources == ()
    assert told.manual_mood is None


def test_time_is_told_in_utc() -> None:
    vienna = timezone(timedelta(hours=1))
    assert json.loads(state_message(SNAPSHOT, AT.astimezone(vienna)).payload())["at"] == "2026-11-22T23:05:07.120Z"
    with pytest.raises(ValidationError, match="timezone"):
        state_message(SNAPSHOT, AT.replace(tzinfo=None))


@given(valence=finite, arousal=finite, variance=durations, age_s=durations, held=st.booleans())
def test_any_finite_affect_is_told_within_the_scales(
    valence: float, arousal: float, variance: float, age_s: float, held: bool
) -> None:
    point = ValenceArousal(valence, arousal)
    stable = StableAffect(point, ValenceArousal(variance, variance), (held, held), age_s)
    message = state_message(replace(SNAPSHOT, stable=stable, mood=mood_label(FINDINGEMO.clip(point))), AT)
    assert message.valence is not None
    assert message.arousal is not None
    # back from 0..1 to the scale, by another way than the builder's
    assert message.valence.normalised * 6 - 3 == pytest.approx(message.valence.value, abs=0.004)
    assert message.arousal.normalised * 6 == pytest.approx(message.arousal.value, abs=0.004)
    assert message.valence.sd**2 == pytest.approx(variance, rel=1e-3, abs=1e-3)
    assert StateMessage.model_validate_json(message.payload()).payload() == message.payload()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_no_number_that_is_not_finite_is_told(bad: float) -> None:
    for snapshot in (
        replace(SNAPSHOT, latency_ms=bad),
        replace(SNAPSHOT, stable=replace(SNAPSHOT.stable, variance=ValenceArousal(bad, 0.1))),
    ):
        with pytest.raises(ValueError, match=r"finite|domain"):
            state_message(snapshot, AT)
    with pytest.raises(ValueError, match="finite"):
        music_message(replace(SNAPSHOT, target=ValenceArousal(bad, 0.0)), AT)


def test_music_tells_the_song_and_where_it_is() -> None:
    told = json.loads(music_message(SNAPSHOT, AT).payload())
    assert told == {
        "at": "2026-11-22T23:05:07.120Z",
        "song": {
            "song_id": "starter-07",
            "title": "Evening window",
            "valence": 0.31,
            "arousal": -0.22,
            "start_s": 0.0,
            "end_s": 15.0,
            "position_s": 12.35,
            "gain_db": -1.8,
            "because": "nearer",
        },
        "target": {"valence": 0.25, "arousal": 0.14},
        "path": None,
        "paused": False,
        "muted": False,
        "volume": 0.6,
    }


def test_music_tells_how_far_guide_has_come() -> None:
    points = (ValenceArousal(-0.25, 0.1), ValenceArousal(0.0251, 0.05), ValenceArousal(0.3, 0.0))
    told = json.loads(music_message(replace(SNAPSHOT, path=GuideStatus(points, 1, "uncertain")), AT).payload())
    assert told["path"] == {
        "points": [
            {"valence": -0.25, "arousal": 0.1},
            {"valence": 0.025, "arousal": 0.05},
            {"valence": 0.3, "arousal": 0.0},
        ],
        "at": 1,
        "waits": "uncertain",
    }
    walked = music_message(replace(SNAPSHOT, path=GuideStatus(points, 2)), AT)
    assert walked.path is not None
    assert walked.path.waits is None


def test_music_without_a_song_or_a_title() -> None:
    silent = music_message(replace(SNAPSHOT, playback=PlaybackStatus(), target=None), AT)
    assert silent.song is None
    assert silent.target is None
    untitled = music_message(replace(SNAPSHOT, playback=PlaybackStatus(segment=replace(SONG, title=""))), AT)
    assert untitled.song is not None
    assert untitled.song.title == "starter-07"


def test_a_choice_that_does_not_play_yet_says_nothing_of_the_song_that_does() -> None:
    for chosen in (replace(SONG, song_id="starter-08"), replace(SONG, start_s=5.0), None):
        message = music_message(replace(SNAPSHOT, chosen=chosen, chosen_because="skip"), AT)
        assert message.song is not None
        assert message.song.because is None


@given(valence=finite, arousal=finite)
def test_a_mood_set_by_hand_is_told_within_the_scale(valence: float, arousal: float) -> None:
    told = state_message(replace(SNAPSHOT, manual_mood=ValenceArousal(valence, arousal)), AT).manual_mood
    assert told is not None
    assert FINDINGEMO.contains(ValenceArousal(told.valence, told.arousal))


def test_health_tells_what_is_wrong_but_not_of_the_broker_it_came_through() -> None:
    reasons = {"camera": "/dev/video0 does not answer", "broker": "was away", "audio": ""}
    assert health_message(SNAPSHOT, AT).status == "ok"
    assert health_message(replace(SNAPSHOT, reasons={"broker": "was away"}), AT).status == "ok"
    degraded = health_message(replace(SNAPSHOT, reasons=reasons), AT)
    assert degraded.status == "degraded"
    assert degraded.reasons == {"camera": "/dev/video0 does not answer"}


def test_health_tells_how_long_the_run_has_lasted_and_what_is_wrong_with_the_line_it_comes_by() -> None:
    assert health_message(SNAPSHOT, AT).uptime_s is None
    told = health_message(
        replace(SNAPSHOT, reasons={"broker": "was away"}), AT, FACTS, LineNow(61.04, "no claim comes")
    )
    assert (told.uptime_s, told.status, told.reasons) == (61.0, "degraded", {"broker": "no claim comes"})
    assert health_message(SNAPSHOT, AT, FACTS, LineNow(0.0)).status == "ok"


def test_health_tells_the_pace_and_a_limit_is_no_fault() -> None:
    assert json.loads(health_message(SNAPSHOT, AT).payload())["pace"] is None
    slowed = health_message(replace(SNAPSHOT, pace=Pace(3.456, 0.125, "cpu")), AT)
    assert slowed.status == "ok"
    assert json.loads(slowed.payload())["pace"] == {"frames_per_second": 3.46, "scene_share": 0.12, "limited_by": "cpu"}
    unseen = health_message(replace(SNAPSHOT, pace=Pace(10.0)), AT)
    assert json.loads(unseen.payload())["pace"] == {
        "frames_per_second": 10.0,
        "scene_share": None,
        "limited_by": "none",
    }
    given_up = replace(SNAPSHOT, pace=Pace(0.5, 1.0, "temperature"), reasons={"pace": "at 0.5 frames a second …"})
    assert health_message(given_up, AT).status == "degraded"


FACTS = DeviceFacts(
    version="1.2.3",
    camera="/dev/video0",
    models={"scene": ModelFact("scene-starter", "CPUExecutionProvider")},
    protocol="3.1.1",
    encrypted=True,
)


def test_health_tells_the_device() -> None:
    told = json.loads(health_message(replace(SNAPSHOT, camera_on=False), AT, FACTS).payload())
    assert told["version"] == "1.2.3"
    assert told["camera"] == {"source": "/dev/video0", "on": False}
    assert told["models"] == {"scene": {"name": "scene-starter", "provider": "CPUExecutionProvider"}}
    assert told["broker"] == {"protocol": "3.1.1", "encrypted": True, "allow_plaintext": False}
    assert told["notices"] == {}


def test_health_invents_nothing_of_a_device_that_nobody_described() -> None:
    told = json.loads(health_message(SNAPSHOT, AT).payload())
    assert (told["version"], told["models"], told["broker"]) == (None, {}, None)
    assert told["camera"] == {"source": None, "on": True}


@pytest.mark.parametrize(
    ("pace", "temperature_c"), [(None, None), (Pace(10.0), None), (Pace(10.0, temperature_c=61.249), 61.2)]
)
def test_health_tells_the_temperature_where_a_sensor_answers(pace: Pace | None, temperature_c: float | None) -> None:
    assert health_message(replace(SNAPSHOT, pace=pace), AT, FACTS).thermal.temperature_c == temperature_c


def test_plaintext_that_leaves_the_machine_is_told_and_is_no_fault() -> None:
    allowed = replace(FACTS, encrypted=False, allow_plaintext=True)
    assert health_message(SNAPSHOT, AT, allowed).notices == {}
    told = health_message(SNAPSHOT, AT, replace(allowed, plaintext_leaves=True))
    assert told.notices == {"broker": PLAINTEXT_NOTICE}
    assert told.status == "ok"
    assert told.broker is not None
    assert told.broker.allow_plaintext


@pytest.mark.parametrize(
    "bad",
    [
        {"run": "5f0c19a", "uptime_s": 1.0},
        {"run": "5F0C19AE", "uptime_s": 1.0},
        {"run": "0" * 33, "uptime_s": 1.0},
        {"run": "5f0c19ae", "uptime_s": -1.0},
        {"run": "5f0c19ae"},
        {"run": "5f0c19ae", "uptime_s": 1.0, "node": "x"},
    ],
)
def test_what_is_no_claim_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ClaimMessage.model_validate_json(json.dumps(bad))


def test_a_claim_is_read_as_it_was_written() -> None:
    claim = ClaimMessage(run="0123456789abcdef", uptime_s=12.5)
    assert ClaimMessage.model_validate_json(claim.payload()) == claim


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (StateMessage, state_message(SNAPSHOT, AT)),
        (MusicMessage, music_message(SNAPSHOT, AT)),
        (HealthMessage, health_message(SNAPSHOT, AT)),
    ],
)
def test_models_are_strict(
    model: type[StateMessage | MusicMessage | HealthMessage], message: StateMessage | MusicMessage | HealthMessage
) -> None:
    told = json.loads(message.payload())
    assert model.model_validate_json(json.dumps(told)) == message
    with pytest.raises(ValidationError, match="extra"):
        model.model_validate_json(json.dumps({**told, "name": "Ada"}))
    for field in told:
        with pytest.raises(ValidationError, match="missing"):
            model.model_validate_json(json.dumps({key: value for key, value in told.items() if key != field}))


def test_nothing_that_tells_a_feeling_is_retained() -> None:
    assert [rule.name for rule in TOPICS if rule.retained] == ["availability"]


def test_what_tells_a_feeling_expires() -> None:
    assert {rule.name for rule in TOPICS if rule.expiry_s == 30} == {"state", "music", "health"}
    assert {rule.expiry_s for rule in TOPICS} == {30, None}
