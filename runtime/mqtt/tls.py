"""TLS to the broker: its files are read anew for each connection, and each refusal has words of its own."""

from __future__ import annotations

import socket
import ssl
from typing import Any

from emomusic_edge.errors import BrokerError

from .broker import BrokerSettings

# OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED = 9, 10
_HOST_MISMATCH, _ADDRESS_MISMATCH = 62, 64
_WANTS_CLIENT_CERTIFICATE = ("CERTIFICATE_REQUIRED", "certificate required", "HANDSHAKE_FAILURE", "handshake failure")
_REFUSES_CLIENT_CERTIFICATE = ("bad certificate", "BAD_CERTIFICATE", "unknown ca", "UNKNOWN_CA", "certificate expired")


class FreshContext(ssl.SSLContext):
    """A context for paho, which takes one for the life of a client, that reads its files again for each connection.

    So a certificate that was replaced is used, and trusted, from the next connection on, without a restart.
    """

    _settings: BrokerSettings

    @classmethod
    def of(cls, settings: BrokerSettings) -> FreshContext:
        """One for the broker.

        Raises:
            BrokerError: a file holds no certificate or key, or they do not belong together.
        """
        context_of(settings)
        fresh = cls(ssl.PROTOCOL_TLS_CLIENT)
        fresh._settings = settings
        return fresh

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """As ssl.SSLContext.wrap_socket, with the files as they are now."""
        try:
            context = context_of(self._settings)
        except BrokerError as error:
            # paho lets nothing but OSError pass.
            raise OSError(str(error)) from error
        return context.wrap_socket(*args, **options)


def context_of(settings: BrokerSettings) -> ssl.SSLContext:
    """What the settings say, verified: the broker's certificate and its name are always checked.

    Raises:
        BrokerError: a file holds no certificate or key, or they do not belong together.
    """
    ca_file = settings.ca_file
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:  # ssl.SSLError among them
        raise BrokerError(
            f"mqtt.ca_file {ca_file} holds no certificate in PEM form ({error}).",
            mend="Copy the broker's CA certificate (-----BEGIN CERTIFICATE-----) there.",
        ) from error
    if settings.client_cert_file is not None:
        try:
            # An empty password, so that an encrypted key is an error and no question at a terminal.
            context.load_cert_chain(settings.client_cert_file, settings.client_key_file, password="")
        except OSError as error:
            raise BrokerError(
                f"mqtt.client_cert_file {settings.client_cert_file} and mqtt.client_key_file "
                f"{settings.client_key_file or '(not set)'} are no certificate with its unencrypted key ({error}).",
                mend="Copy both there in PEM form, readable to the user that runs this and to nobody else.",
            ) from error
    if settings.alpn:
        context.set_alpn_protocols([settings.alpn])
    return context


def why_no_connection(settings: BrokerSettings, error: BaseException | None) -> str:
    """Why a connection was not made, in one line.

    Args:
        settings: where to.
        error: what the attempt raised.
    """
    broker = f"broker {settings.where}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{broker}: {_why_not_trusted(settings, error)}"
    if isinstance(error, ssl.SSLError):
        return why_alert(settings, str(error)) or f"{broker} does not speak TLS as expected ({error.reason or error})"
    if isinstance(error, socket.gaierror):
        return f"{broker}: no such host ({error.strerror})"
    if settings.encrypted and isinstance(error, ConnectionResetError):
        return f"{broker} does not speak TLS as expected (it hung up): is this the port for plaintext?"
    if settings.encrypted and isinstance(error, ConnectionRefusedError):
        return (
            f"{broker} does not answer ({error.strerror}); does it speak plaintext only, on port 1883? "
            "See docs/home-assistant.md"
        )
    if isinstance(error, OSError):
        return f"{broker} does not answer ({error.strerror or error})" if str(error) else f"{broker} does not answer"
    return f"{broker} does not answer"


def _why_not_trusted(settings: BrokerSettings, error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _EXPIRED:
        return "its certificate has expired; renew it on the broker, if this machine's clock is right"
    if error.verify_code == _NOT_YET_VALID:
        return "its certificate is not valid yet; is this machine's clock right?"
    if error.verify_code in (_HOST_MISMATCH, _ADDRESS_MISMATCH):
        return f"its certificate is for another name ({error.verify_message}); set mqtt.host to the name in it"
    return f"its certificate is not trusted ({error.verify_message}); set mqtt.ca_file to the CA that signed it"


def why_alert(settings: BrokerSettings, text: str) -> str:
    """What an error of OpenSSL says of our own certificate; empty where it says nothing of it."""
    broker = f"broker {settings.where}"
    if settings.client_cert_file is None and any(words in text for words in _WANTS_CLIENT_CERTIFICATE):
        return f"{broker} wants a client certificate: set mqtt.client_cert_file and mqtt.client_key_file"
    if settings.client_cert_file is not None and any(words in text for words in _REFUSES_CLIENT_CERTIFICATE):
        return f"{broker} does not accept the client certificate {settings.client_cert_file}"
    return ""
