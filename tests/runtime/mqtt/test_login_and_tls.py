"""Who is let in, over which line: logins, certificates, the words for each refusal. Real mosquitto, real openssl."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_server

import pytest
from broker import Broker, program, wait_until
from certificates import certificate_authority, issued

from emomusic_edge.errors import BrokerError
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher
from emomusic_edge.runtime.mqtt.tls import context_of

pytestmark = pytest.mark.broker


def settings(port: int, **others: object) -> BrokerSettings:
    return BrokerSettings(port=port, node="kitchen", **others)  # type: ignore[arg-type]


@contextmanager
def running(broker: Broker) -> Iterator[Broker]:
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def says(settings: BrokerSettings, words: str) -> None:
    """The health reason comes to hold the words; empty words: it connects."""
    publisher = MqttPublisher(settings)
    publisher.start()
    try:
        wait_until(
            lambda: words in publisher.reason() if words else publisher.reason() == "",
            lambda: f"{words or 'the connection'!r}; it says: {publisher.reason()}",
        )
    finally:
        publisher.close()


def password_broker(folder: Path, password: str) -> Broker:
    passwords = folder / "passwords"
    subprocess.run(
        [program("mosquitto_passwd"), "-b", "-c", str(passwords), "edge", password], check=True, capture_output=True
    )
    return Broker(folder, f"password_file {passwords}", anonymous=False)


def test_a_refused_login_is_told(tmp_path: Path) -> None:
    with running(password_broker(tmp_path, "secret")) as broker:
        says(settings(broker.port, username="edge", password="wrong"), "refused the login of user 'edge'")
        says(settings(broker.port), "refused the login without a user name")
        says(settings(broker.port, username="edge", password="secret"), "")


def test_a_password_written_into_its_file_is_used_without_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("old\n")
    with running(password_broker(tmp_path, "new")) as broker:
        publisher = MqttPublisher(settings(broker.port, username="edge", password="old", password_file=file))
        publisher.start()
        try:
            wait_until(lambda: "refused the login" in publisher.reason(), "the refusal")
            file.write_text("new\n")
            wait_until(lambda: publisher.reason() == "", "the connection")
        finally:
            publisher.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_authority(tmp_path_factory.mktemp("ours"), "ours")


def tls_broker(folder: Path, ca: Path, *lines: str, expired: bool = False) -> Broker:
    key, certificate = issued(folder, ca, "localhost", expired=expired)
    return Broker(folder, f"cafile {ca}", f"certfile {certificate}", f"keyfile {key}", *lines)


def test_the_certificate_and_the_name_in_it_are_verified(tmp_path: Path, authority: Path) -> None:
    other = certificate_authority(tmp_path, "another")
    with running(tls_broker(tmp_path, authority)) as broker:
        says(settings(broker.port, host="localhost", tls=True, ca_file=authority), "")
        says(settings(broker.port, host="localhost", tls=True, ca_file=other), "certificate is not trusted")
        # Nor by the authorities of the system.
        says(settings(broker.port, host="localhost", tls=True), "certificate is not trusted")
        says(settings(broker.port, host="127.0.0.1", tls=True, ca_file=authority), "is for another name (IP address")
        says(settings(broker.port), "is this the port for TLS")


def test_an_expired_certificate_has_words_of_its_own(tmp_path: Path, authority: Path) -> None:
    with running(tls_broker(tmp_path, authority, expired=True)) as broker:
        says(settings(broker.port, host="localhost", tls=True, ca_file=authority), "its certificate has expired")


def test_a_port_without_tls_is_told(broker: Broker, authority: Path) -> None:
    says(settings(broker.port, host="localhost", tls=True, ca_file=authority), "does not speak TLS as expected")


def test_a_client_certificate_lets_in_and_its_lack_is_told(tmp_path: Path, authority: Path) -> None:
    stranger_ca = certificate_authority(tmp_path, "strangers")
    key, certificate = issued(tmp_path, authority, "kitchen", file="client")
    other_key, other_certificate = issued(tmp_path, stranger_ca, "kitchen", file="stranger")
    with running(tls_broker(tmp_path, authority, "require_certificate true")) as broker:
        tls = {"host": "localhost", "tls": True, "ca_file": authority}
        says(settings(broker.port, **tls), "wants a client certificate: set mqtt.client_cert_file")
        says(
            settings(broker.port, **tls, client_cert_file=other_certificate, client_key_file=other_key),
            f"does not accept the client certificate {other_certificate}",
        )
        says(settings(broker.port, **tls, client_cert_file=certificate, client_key_file=key), "")


def test_a_certificate_that_was_replaced_is_trusted_without_a_restart(tmp_path: Path, authority: Path) -> None:
    """The broker's authority changes, and so does the file: the next attempt reads it."""
    trusted = tmp_path / "trusted.pem"
    shutil.copy(certificate_authority(tmp_path, "former"), trusted)
    with running(tls_broker(tmp_path, authority)) as broker:
        publisher = MqttPublisher(settings(broker.port, host="localhost", tls=True, ca_file=trusted))
        publisher.start()
        try:
            wait_until(lambda: "certificate is not trusted" in publisher.reason(), "the refusal")
            trusted.write_text("half a fi")
            wait_until(lambda: "holds no certificate" in publisher.reason(), lambda: publisher.reason())
            shutil.copy(authority, trusted)
            wait_until(lambda: publisher.reason() == "", "the connection")
        finally:
            publisher.close()


def test_alpn_is_asked_for(tmp_path: Path, authority: Path) -> None:
    """mosquitto knows no ALPN: here stands a TLS server that tells what it was asked."""
    key, certificate = issued(tmp_path, authority, "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["mqtt", "http/1.1"])
    asked: list[str | None] = []
    with create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            line, _ = server.accept()
            with context.wrap_socket(line, server_side=True) as secure:
                asked.append(secure.selected_alpn_protocol())

        thread = threading.Thread(target=answer)
        thread.start()
        publisher = MqttPublisher(
            settings(server.getsockname()[1], host="localhost", tls=True, ca_file=authority, alpn="mqtt")
        )
        publisher.start()
        thread.join(30)
        publisher.close()
    assert asked == ["mqtt"]


def test_a_key_that_does_not_belong_to_its_certificate_is_refused(tmp_path: Path, authority: Path) -> None:
    _, certificate = issued(tmp_path, authority, "kitchen", file="client")
    other_key, _ = issued(tmp_path, authority, "kitchen", file="other")
    with pytest.raises(BrokerError, match="are no certificate with its unencrypted key"):
        context_of(settings(8883, tls=True, client_cert_file=certificate, client_key_file=other_key))


def test_a_ca_file_without_a_certificate_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("nothing")
    with pytest.raises(BrokerError, match="no certificate"):
        MqttPublisher(BrokerSettings(tls=True, ca_file=empty))


def test_the_system_s_authorities_verify_too(authority: Path) -> None:
    for ca_file in (None, authority):
        context = context_of(settings(8883, tls=True, ca_file=ca_file))
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
