"""The doctor at the broker: each step against a real mosquitto, and a run of the same name that notices nothing."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from broker import Broker, Listener, program, wait_until
from certificates import certificate_authority, issued

from emomusic_edge.config import Settings
from emomusic_edge.runtime.doctor import broker as doctor
from emomusic_edge.runtime.doctor.finding import Finding, Level
from emomusic_edge.runtime.doctor.setup import Setup
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher

pytestmark = pytest.mark.broker


def look(port: int, *, running: bool = False, given: str = "mqtt.host", **mqtt: object) -> dict[str, Finding]:
    settings = Settings.model_validate({"mqtt": {"host": "127.0.0.1", "port": port, "node": "kitchen", **mqtt}})
    setup = Setup(settings, origins={given: "a flag"} if given else {})
    return {finding.name: finding for finding in doctor.look(setup, running=lambda: running, echo_s=3.0)}


@contextmanager
def running_broker(broker: Broker) -> Iterator[Broker]:
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def with_passwords(folder: Path, *lines: str) -> Broker:
    passwords = folder / "passwords"
    made = [program("mosquitto_passwd"), "-b", "-c", str(passwords), "edge", "secret"]
    subprocess.run(made, check=True, capture_output=True)
    return Broker(folder, f"password_file {passwords}", *lines, anonymous=False)


def test_all_is_well(broker: Broker, listener: Listener) -> None:
    found = look(broker.port)
    assert {name: finding.level for name, finding in found.items()} == dict.fromkeys(
        ("login", "access", "node"), Level.OK
    )
    assert "without a user name, unencrypted, MQTT 5" in found["login"].found
    listener.barrier()
    heard = [heard for heard in listener.all() if heard.topic.startswith("emomusic")]
    assert [heard.topic for heard in heard] == ["emomusic/kitchen/doctor"], "nothing but a word of its own"
    assert not heard[0].retained


def test_mqtt_3_1_1_does_as_well(broker: Broker) -> None:
    assert look(broker.port, protocol="3.1.1")["access"].level is Level.OK


def test_a_refused_login(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("wrong\n")
    with running_broker(with_passwords(tmp_path)) as broker:
        found = look(broker.port, username="edge", password_file=file)["login"]
        assert found.level is Level.PROBLEM
        assert "refused the login of user 'edge'" in found.found
        assert found.mend == "Set mqtt.username and the password in mqtt.password_file"
        file.write_text("secret\n")
        assert look(broker.port, username="edge", password_file=file)["login"].level is Level.OK


@pytest.mark.parametrize(
    ("rule", "level"),
    [
        ("topic readwrite emomusic/kitchen/#", Level.OK),
        ("topic read emomusic/kitchen/#", Level.PROBLEM),
        ("topic write emomusic/kitchen/#", Level.PROBLEM),
        ("topic readwrite emomusic/bedroom/#", Level.PROBLEM),
    ],
)
def test_the_access_list_is_proven_by_a_word_that_comes_back(rule: str, level: Level, tmp_path: Path) -> None:
    rules = tmp_path / "acl"
    rules.write_text(f"user edge\n{rule}\n")
    with running_broker(with_passwords(tmp_path, f"acl_file {rules}")) as broker:
        found = look(broker.port, username="edge", password="secret")
    assert found["login"].level is Level.OK
    assert found["access"].level is level
    if level is Level.PROBLEM:
        assert found["access"].mend == "In mosquitto's acl_file, below `user edge`: topic readwrite emomusic/kitchen/#"


def test_tls(tmp_path: Path) -> None:
    ours, other = (certificate_authority(tmp_path, name) for name in ("ours", "other"))
    key, certificate = issued(tmp_path, ours, "localhost")
    lines = (f"cafile {ours}", f"certfile {certificate}", f"keyfile {key}")
    with running_broker(Broker(tmp_path, *lines)) as broker:
        well = look(broker.port, host="localhost", tls=True, ca_file=ours)
        assert well["login"].level is Level.OK
        assert well["certificate"].level is Level.WARNING, "it is one of two days"
        assert well["certificate"].figures["days_left"] in (1, 2)
        untrusted = look(broker.port, host="localhost", tls=True, ca_file=other)
        assert "certificate" not in untrusted
        assert untrusted["login"].level is Level.PROBLEM
        assert "certificate is not trusted" in untrusted["login"].found
        assert untrusted["login"].mend == "Set mqtt.ca_file to the CA that signed it"
        other_name = look(broker.port, host="127.0.0.1", tls=True, ca_file=ours)["login"]
        assert other_name.mend == "Set mqtt.host to the name in it"
        plain = look(broker.port)["login"]
        assert plain.mend == "Is this the port for TLS, or for plaintext?"


def test_a_certificate_that_is_over(tmp_path: Path) -> None:
    ours = certificate_authority(tmp_path, "ours")
    key, certificate = issued(tmp_path, ours, "localhost", expired=True)
    with running_broker(Broker(tmp_path, f"cafile {ours}", f"certfile {certificate}", f"keyfile {key}")) as broker:
        found = look(broker.port, host="localhost", tls=True, ca_file=ours)["login"]
    assert "expired" in found.found
    assert found.mend.startswith("Renew it on the broker")


def test_a_run_of_the_same_name_is_not_disturbed(broker: Broker, listener: Listener) -> None:
    device = MqttPublisher(BrokerSettings(port=broker.port, node="kitchen"))
    device.start()
    try:
        wait_until(lambda: device.reason() == "", device.reason)
        listener.wait("emomusic/kitchen/claim")
        assert look(broker.port, running=True)["node"].level is Level.OK
        found = look(broker.port, running=False)["node"]
        assert found.level is Level.WARNING
        assert "exit code 75" in found.meaning
        listener.barrier()
        assert len(listener.all("emomusic/kitchen/claim")) == 1, "the doctor claims nothing"
        assert [heard.payload for heard in listener.all("emomusic/kitchen/availability")] == [b"online"]
        assert device.reason() == ""
    finally:
        device.close()


def test_no_broker_is_a_problem_only_where_one_was_named(stopped_broker: Broker) -> None:
    named = look(stopped_broker.port)["login"]
    assert named.level is Level.PROBLEM
    assert "does not answer" in named.found
    assert look(stopped_broker.port, given="")["login"].level is Level.WARNING


def test_a_broker_that_is_stuck_is_waited_for_no_longer_than_asked(broker: Broker) -> None:
    process = broker._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        settings = Settings.model_validate({"mqtt": {"host": "127.0.0.1", "port": broker.port}})
        (found,) = doctor.look(Setup(settings, origins={"mqtt.port": ""}), connect_s=0.5)
    finally:
        os.kill(process.pid, signal.SIGCONT)
    assert found.level is Level.PROBLEM
    assert f"127.0.0.1:{broker.port}" in found.found


def test_a_name_that_leads_nowhere() -> None:
    # RFC 6761: a name below `invalid` never resolves.
    found = look(8883, host="broker.invalid")
    assert list(found) == ["name"]
    assert found["name"].level is Level.PROBLEM


@pytest.mark.parametrize(
    ("mqtt", "words"),
    [
        ({"username": "edge", "password_file": "/nowhere/password"}, "/nowhere/password cannot be read"),
        ({"tls": True, "ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem is not a file"),
        ({"host": "192.0.2.1", "tls": False}, "in plaintext"),
    ],
)
def test_settings_that_cannot_work(mqtt: dict[str, object], words: str) -> None:
    found = look(1883, **mqtt)["settings"]
    assert found.level is Level.PROBLEM
    assert words in found.found
    assert found.mend


def test_a_smart_home_that_is_switched_off_is_well() -> None:
    (found,) = look(1883, enabled=False).values()
    assert found.level is Level.OK
