"""Signatures of model bundles and music indexes: made with a key of one's own, asked for where the settings say so.

OpenSSH does the work (`ssh-keygen -Y`; from 8.2 on it finds a key's owner), offline and with keys that people have:
nothing is added to what a run imports. A bundle's signature is one of its manifest, which holds the sha256 of each file
beside it; an index's is one of the whole file. It stands beside what was signed, with `.sig` behind the name.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path

from emomusic_edge.artefacts import write_atomic
from emomusic_edge.errors import ConfigError, EmomusicError
from emomusic_edge.manifest import MANIFEST_NAME
from emomusic_edge.paths import packaged_bundle, packaged_deam_index

# What is signed for another purpose with the same key is no word on a model.
NAMESPACE = "emomusic-edge"
SUFFIX = ".sig"

Check = Callable[[Path, "bytes | mmap"], object]
"""Called with a file and the very bytes that are then parsed; raises where they are not to be trusted."""

# A signature is a few hundred bytes; one that comes with a certificate, a few thousand.
_MAX_SIGNATURE_BYTES = 1 << 16
_TIMEOUT_S = 30.0
# OpenSSH looks into nothing but what it is given.
_ENVIRONMENT = ("PATH", "HOME", "SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY", "TERM")


def signature_file(path: Path) -> Path:
    """Where the signature of a file stands."""
    return path.with_name(path.name + SUFFIX)


def signature_check(artefact: Path, allowed_signers: Path | None, error: type[EmomusicError]) -> Check:
    """What to hold a bundle's manifest or an index against before it is parsed.

    Args:
        artefact: the bundle's folder or the index's file, as it will be opened.
        allowed_signers: the keys that are trusted, as in ssh-keygen(1), ALLOWED SIGNERS; None asks for no signature.
        error: raised for a signature that is missing or wrong.
    """
    # Who can alter the package can alter this check.
    if allowed_signers is None or artefact in (packaged_bundle(artefact.name), packaged_deam_index()):
        return lambda path, content: None
    return lambda path, content: verify(path, content, allowed_signers, error)


def verify(path: Path, content: bytes | mmap, allowed_signers: Path, error: type[EmomusicError]) -> str:
    """Whose signature a file's content carries.

    Args:
        path: the file; its signature stands beside it.
        content: the bytes that were read of it.
        allowed_signers: the keys that are trusted.
        error: the kind of error to raise.

    Returns:
        The name that stands before the key in `allowed_signers`.

    Raises:
        error: there is no signature, it is by a key that is not trusted, or of another content.
        ConfigError: the keys cannot be read, or ssh-keygen is missing.
    """
    if not os.access(allowed_signers, os.R_OK) or not allowed_signers.is_file():
        raise ConfigError(
            f"trust.allowed_signers names {allowed_signers}, which is no file that can be read.",
            mend="Put the public keys that you trust there (docs/signing.md), or leave the setting out.",
        )
    artefact = path.parent if path.name == MANIFEST_NAME else path
    sign_it = f"emomusic-edge sign {artefact} with a key that you trust, or leave trust.allowed_signers out"
    with _signature(path, error, sign_it) as (place, descriptor):
        found = _ssh_keygen(
            ["-Y", "find-principals", "-s", place, "-f", str(allowed_signers)], descriptors=(descriptor,)
        )
        signer = found.stdout.decode(errors="replace").partition("\n")[0].strip()
        if found.returncode != 0 or not signer:
            raise error(f"{path} is signed by a key that is not in {allowed_signers}.", mend=sign_it)
        line = ["-Y", "verify", "-f", str(allowed_signers), "-I", signer, "-n", NAMESPACE, "-s", place]
        verdict = _ssh_keygen(line, content=content, descriptors=(descriptor,))
    if verdict.returncode != 0:
        raise error(f"{path} does not bear out its signature by {signer}: {_last_line(verdict)}.", mend=sign_it)
    return signer


def sign(path: Path, content: bytes | mmap, key: Path) -> Path:
    """Write the signature of a file beside it; asks for the key's passphrase on the terminal where it has one.

    Args:
        path: the file.
        content: what was read of it.
        key: a private key of OpenSSH; a public one where an agent holds the private one.

    Returns:
        The signature's file.

    Raises:
        ConfigError: the key does not sign, or ssh-keygen is missing.
        OSError: the folder cannot be written.
    """
    signed = _ssh_keygen(["-Y", "sign", "-f", str(key), "-n", NAMESPACE], content=content, asks=True)
    if signed.returncode != 0:
        raise ConfigError(
            f"The key {key} does not sign: {_last_line(signed)}.",
            mend="Name a private key of OpenSSH with --key; ssh-keygen -t ed25519 makes one.",
        )
    place = signature_file(path)
    write_atomic(place, signed.stdout)
    return place


@contextmanager
def _signature(path: Path, error: type[EmomusicError], mend: str) -> Iterator[tuple[str, int]]:
    """The signature's bytes under a name of their own: both looks are at the same ones, whatever the file becomes."""
    place = signature_file(path)
    try:
        # A pipe would block.
        with open(os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            text = file.read(_MAX_SIGNATURE_BYTES + 1) if regular else b""
    except OSError as cause:
        told = f"{place} cannot be read: {cause.strerror or cause}."
        if isinstance(cause, FileNotFoundError):
            told = f"{path} is not signed: there is no {place.name}, and trust.allowed_signers is set."
        raise error(told, mend=mend) from cause
    if not regular:
        raise error(f"{place} is no file; a signature was expected.", mend=mend)
    if len(text) > _MAX_SIGNATURE_BYTES:
        raise error(f"{place} is larger than a signature, {_MAX_SIGNATURE_BYTES} bytes at most.", mend=mend)
    descriptor = os.memfd_create("signature", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, text)
        yield f"/proc/self/fd/{descriptor}", descriptor
    finally:
        os.close(descriptor)


def _ssh_keygen(
    arguments: list[str],
    *,
    content: bytes | mmap = b"",
    descriptors: tuple[int, ...] = (),
    asks: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | {"LC_ALL": "C"}
    try:
        return subprocess.run(
            ["ssh-keygen", *arguments],
            input=content,
            capture_output=True,
            check=False,
            env=environment,
            pass_fds=descriptors,
            # A person may be typing a passphrase.
            timeout=None if asks else _TIMEOUT_S,
        )
    except FileNotFoundError as cause:
        raise ConfigError("ssh-keygen is not here.", mend="sudo apt-get install openssh-client") from cause
    except subprocess.TimeoutExpired as cause:
        raise ConfigError(f"ssh-keygen gave no answer within {_TIMEOUT_S:.0f} s.") from cause


def _last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    told = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
    return told[-1].strip().rstrip(".\r") if told else f"ssh-keygen ended with {done.returncode}"
