"""Where the broker is: made of the config in one place, with the config's own rules for names."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from emomusic_edge.config import MqttSettings
from emomusic_edge.config.mqtt import default_device_id, default_node
from emomusic_edge.errors import BrokerError
from emomusic_edge.runtime.mqtt.broker import BrokerSettings

NAMES = st.text(st.sampled_from("aZ0_-. \n/+ä"), max_size=66) | st.text(max_size=5)


@given(NAMES, st.sampled_from(["node", "device_id"]))
def test_a_name_is_taken_by_the_config_and_by_the_broker_alike(name: str, field: str) -> None:
    # Without a name of its own a device is known by its node's: only the config is never told so.
    if field == "device_id" and not name:
        return
    try:
        MqttSettings(**{field: name})
    except ValidationError:
        with pytest.raises(BrokerError, match=rf"^mqtt\.{field} is .*; expected 1 to 64 of"):
            BrokerSettings(**{field: name})
    else:
        assert getattr(BrokerSettings(**{field: name}), field) == name


def test_what_the_config_says_arrives_and_what_it_leaves_open_is_settled(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n")
    files = {name: tmp_path / name for name in ("ca_file", "client_cert_file", "client_key_file")}
    for file in files.values():
        file.write_text("")
    told = {"host": "broker.home", "node": "attic", "device_id": "5F0c", "username": "me", "password_file": password}
    more = {"protocol": "5", "alpn": "mqtt", "allow_plaintext": True, "min_interval_s": 2.0}
    made = BrokerSettings.of(MqttSettings(**told, **files, **more))
    expected = {**told, **files, **more, "port": 8883, "tls": True, "password": "secret"}
    assert {name: getattr(made, name) for name in expected} == expected
    left = {field.name for field in dataclasses.fields(BrokerSettings)} - expected.keys()
    assert left == {"keepalive_s", "repeat_s", "unix_socket"}
    assert BrokerSettings.of(MqttSettings(host="/run/broker.sock")).unix_socket == Path("/run/broker.sock")


def test_a_device_is_known_by_its_machine_whatever_it_is_called(tmp_path: Path) -> None:
    machine = tmp_path / "machine-id"
    machine.write_text("0123456789abcdef0123456789abcdef\n")
    known = default_device_id(machine)
    assert known is not None
    assert len(known) == 12
    assert known not in machine.read_text()
    # The same hash as that of the name, which shows six digits of it.
    assert default_node(machine).endswith(f"-{known[:6]}")
    assert default_device_id(tmp_path / "none") is None
    assert BrokerSettings.of(MqttSettings(node="attic", device_id=None)).device_id == ""


@pytest.mark.parametrize("given", ["", "a b", "a/b", "x" * 65])
def test_a_device_id_that_fits_into_no_topic_is_refused(given: str) -> None:
    with pytest.raises(ValidationError, match="device_id"):
        MqttSettings(device_id=given)
