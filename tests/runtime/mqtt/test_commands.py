"""Commands: whatever arrives becomes a command or one clear line of refusal."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emomusic_edge.contracts import (
    Command,
    Dislike,
    Forget,
    Like,
    Mode,
    Pause,
    Resume,
    SetCamera,
    SetMode,
    SetMood,
    SetVolume,
    Skip,
)
from emomusic_edge.runtime.mqtt.commands import COMMANDS, MAX_PAYLOAD_BYTES, CommandError, parse_command

VALID: list[tuple[str, bytes, Command]] = [
    ("skip", b"", Skip()),
    ("skip", b"{}", Skip()),
    ("pause", b" \n", Pause()),
    ("like", b"", Like()),
    ("dislike", b"{}", Dislike()),
    ("forget", b"", Forget()),
    ("resume", b"{}", Resume()),
    ("camera", b'{"on": true}', SetCamera(True)),
    ("camera", b'{"on": false}', SetCamera(False)),
    ("camera", b"ON", SetCamera(True)),
    ("camera", b"off", SetCamera(False)),
    ("camera", b"true", SetCamera(True)),
    ("mode", b'{"mode": "calm"}', SetMode(Mode.CALM)),
    ("mode", b"manual", SetMode(Mode.MANUAL)),
    ("mode", b'"off"', SetMode(Mode.OFF)),
    ("volume", b'{"volume": 0.4}', SetVolume(0.4)),
    ("volume", b"0.4", SetVolume(0.4)),
    ("volume", b"1", SetVolume(1.0)),
    ("volume", b"0", SetVolume(0.0)),
    ("mood", b'{"valence": -3, "arousal": 6}', SetMood(-3.0, 6.0)),
    ("mood", b'{"arousal": 2.5, "valence": 1}', SetMood(1.0, 2.5)),
    ("mood", b'{"valence": 1}', SetMood(1.0, None)),
    ("mood", b'{"arousal": 2}', SetMood(None, 2.0)),
    ("playing", b"ON", Resume()),
    ("playing", b'{"playing": false}', Pause()),
]

INVALID: list[tuple[str, bytes, str]] = [
    ("skip", b"now", "'now' is not JSON; expected an empty payload"),
    ("skip", b'{"hard": true}', "'hard' is not a field"),
    ("pause", b"null", "found 'null'"),
    ("camera", b"", "is not JSON; expected `ON`"),
    ("camera", b"1", "'on' is 1"),
    ("camera", b"open", "'on' is 'open'"),
    ("camera", b'{"on": "ON"}', "'on' is 'ON'"),
    ("mode", b"clam", "'clam'; expected one of mirror, guide, calm, energize, manual, off"),
    ("mode", b'{"mode": "CALM"}', "'CALM'"),
    ("mode", b"{mode: calm}", "is not JSON"),
    ("mode", b'{"mode": "calm", "for_s": 9}', "'for_s' is not a field"),
    ("volume", b"1.01", "'volume' is 1.01; expected a number from 0 to 1"),
    ("volume", b"-0.1", "'volume' is -0.1; expected a number from 0 to 1"),
    ("volume", b"NaN", "'volume' is nan"),
    ("volume", b'{"volume": NaN}', "'volume' is nan"),
    ("volume", b'{"volume": Infinity}', "'volume' is inf"),
    ("volume", b"1e999", "'volume' is inf"),
    ("volume", b"true", "'volume' is True"),
    ("volume", b'"0.4"', "'volume' is '0.4'"),
    ("volume", b'{"volume": null}', "'volume' is None"),
    ("volume", b'{"volume": 0.4', "is not JSON"),
    ("volume", b"[0.4]", "'volume' is [0.4]"),
    ("volume", b"\xff\xfe", "not UTF-8 (byte 0)"),
    ("volume", b"0" * (MAX_PAYLOAD_BYTES + 1), f"has {MAX_PAYLOAD_BYTES + 1} bytes; at most {MAX_PAYLOAD_BYTES}"),
    ("volume", b'{"volume": ' + b"9" * 10_000 + b"}", "expected a number from 0 to 1"),
    ("mood", b'{"valence": 3.5, "arousal": 2}', "'valence' is 3.5; expected valence from -3 to 3"),
    ("mood", b'{"valence": 1, "arousal": -1}', "'arousal' is -1; expected valence from -3 to 3, arousal from 0"),
    ("mood", b"{}", "neither valence nor arousal is set"),
    ("playing", b"1", "'playing' is 1"),
    ("mood", b"1", "found '1'"),
    ("mood", b"[" * MAX_PAYLOAD_BYTES, "is not JSON"),
    ("volme", b"0.4", "no command 'volme'; did you mean `volume`?"),
    ("Skip", b"", "did you mean `skip`?"),
    ("", b"", "there are skip, pause, resume, playing, camera, mode, volume, mood, like, dislike, forget"),
    ("format-the-disk", b"", "there are skip"),
]


@pytest.mark.parametrize(("name", "payload", "command"), VALID)
def test_valid(name: str, payload: bytes, command: Command) -> None:
    assert parse_command(name, payload) == command


def test_every_command_has_a_valid_example() -> None:
    assert {name for name, _, _ in VALID} == set(COMMANDS)


@pytest.mark.parametrize(("name", "payload", "reason"), INVALID)
def test_refused_with_a_reason(name: str, payload: bytes, reason: str) -> None:
    with pytest.raises(CommandError) as refused:
        parse_command(name, payload)
    assert reason in str(refused.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
fields = st.sampled_from(["on", "mode", "volume", "valence", "arousal", "x"])
json_payloads = (json_values | st.dictionaries(fields, json_values)).map(lambda value: json.dumps(value).encode())


@given(
    name=st.sampled_from(sorted(COMMANDS)) | st.text(),
    payload=st.binary(max_size=64) | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")) | json_payloads,
)
@example(name="volume", payload=b'"\\ud800"')
@example(name="mode", payload=b'{"mode": "\\u0000\\n"}')
@example(name="mode\nERROR forged", payload=b"")
@example(name="mode", payload=b"calm\nERROR forged")
def test_nothing_but_a_command_or_one_line_of_refusal(name: str, payload: bytes) -> None:
    try:
        command = parse_command(name, payload)
    except CommandError as refused:
        line = str(refused)
        assert line
        assert line.isprintable()
        assert len(line) < 300
    else:
        assert name in COMMANDS
        assert isinstance(command, Command)


@given(
    valence=st.floats(allow_nan=False, allow_infinity=False), arousal=st.floats(allow_nan=False, allow_infinity=False)
)
@example(valence=3.0, arousal=0.0)
@example(valence=-3.0, arousal=6.0)
def test_a_mood_is_taken_exactly_when_within_the_scale(valence: float, arousal: float) -> None:
    payload = json.dumps({"valence": valence, "arousal": arousal}).encode()
    if -3 <= valence <= 3 and 0 <= arousal <= 6:
        assert parse_command("mood", payload) == SetMood(valence, arousal)
    else:
        with pytest.raises(CommandError):
            parse_command("mood", payload)
