"""Certificates for tests, made by openssl: an authority, a server's, a client's, one that has expired."""

from __future__ import annotations

import subprocess
from pathlib import Path

from broker import program


def openssl(*arguments: object) -> None:
    subprocess.run([program("openssl"), *map(str, arguments)], check=True, capture_output=True)


def certificate_authority(folder: Path, name: str) -> Path:
    """The certificate; its key lies beside it with the suffix `.key`."""
    certificate = folder / f"{name}.pem"
    key = folder / f"{name}.key"
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", f"/CN={name}"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", key, "-out", certificate),
    )
    return certificate


def issued(folder: Path, ca: Path, name: str, *, file: str = "server", expired: bool = False) -> tuple[Path, Path]:
    """Key and certificate for a name, signed by an authority.

    Args:
        folder: where they go.
        ca: the authority's certificate.
        name: the host's, or the client's.
        file: what the files are called.
        expired: whether its days are over: it ends in the moment it is made.
    """
    key, request, certificate, extensions = (folder / f"{file}.{end}" for end in ("key", "csr", "pem", "ext"))
    extensions.write_text(f"subjectAltName=DNS:{name}\nauthorityKeyIdentifier=keyid\n")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
    openssl(
        *("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca.with_suffix(".key"), "-CAcreateserial"),
        *("-days", -1 if expired else 2, "-extfile", extensions, "-out", certificate),
    )
    return key, certificate
