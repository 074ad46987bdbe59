"""What strace saw a run do: which files it wrote, made or removed, whom it spoke to, what it started."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>.*)")
_STRING = r'"((?:[^"\\]|\\.)*)"'
_PLACE = re.compile(rf"(?:(?:AT_FDCWD|\d+)<(?P<folder>[^>]*)>, )?{_STRING}")
_WRITES = re.compile(r"\bO_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)\b")
_INET = re.compile(r'sa_family=AF_INET, sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)')
_INET6 = re.compile(r'sa_family=AF_INET6, sin6_port=htons\((\d+)\).*?inet_pton\(AF_INET6, "([^"]+)"')
_UNIX = re.compile(rf"sa_family=AF_UNIX, sun_path=(@?){_STRING}")
_FAMILY = re.compile(r"(?:sa_family=)?(AF_\w+)")

_NAMES_ONE = {"creat", "mkdir", "mkdirat", "mknod", "mknodat", "truncate", "unlink", "unlinkat"}
_NAMES_TWO = {"rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"}
_OPENS = {"open", "openat", "openat2"}
_SPEAKS = {"connect", "bind", "sendto", "sendmsg", "sendmmsg"}


@dataclass
class Seen:
    """What the threads of a run did, each thing once.

    Attributes:
        written: files opened for writing, made, renamed, linked or removed, as absolute paths; also what failed.
        spoken_to: `unix PATH`, `inet ADDRESS:PORT`, `inet6 [ADDRESS]:PORT`, or the family's name for others.
        sockets: families of the sockets made.
        started: programs.
        listening: sockets that listen.
        unseen: ways to write and speak that strace does not show.
    """

    written: set[str] = field(default_factory=set)
    spoken_to: set[str] = field(default_factory=set)
    sockets: set[str] = field(default_factory=set)
    started: set[str] = field(default_factory=set)
    listening: set[str] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)

    def beyond(self, written: Sequence[str], spoken_to: Sequence[str], started: Sequence[str]) -> list[str]:
        """What is not on the lists, which may hold `*`."""
        return sorted(
            [f"wrote {path}" for path in self.written if not _on(path, written)]
            + [f"spoke to {who}" for who in self.spoken_to if not _on(who, spoken_to)]
            + [f"started {program}" for program in self.started if not _on(program, started)]
            + [f"listened on {one}" for one in self.listening]
            + [f"used {way}" for way in self.unseen]
        )


def seen_in(traces: Path, work: Path) -> Seen:
    """Read strace's files (-ff -y).

    Args:
        traces: the folder.
        work: where relative paths start that strace tells no folder for.
    """
    seen = Seen()
    files = sorted(traces.iterdir())
    assert files, "strace wrote nothing"
    for file in files:
        for line in file.read_text(errors="replace").splitlines():
            call = _CALL.match(line)
            if call is not None:
                _take(seen, call["name"], call["arguments"], call["result"], work)
    return seen


def _take(seen: Seen, name: str, arguments: str, result: str, work: Path) -> None:
    places = list(_places(arguments, work))
    if name in _OPENS and _WRITES.search(arguments.rpartition('"')[2]):
        # What was opened tells more than the name: a link leads elsewhere.
        opened = re.search(r"<(/[^>]*)>", result)
        seen.written.add(opened[1].removesuffix(" (deleted)") if opened else places[0])
    elif name in _NAMES_ONE:
        seen.written.add(places[0])
    elif name in _NAMES_TWO:
        # A symbolic link's content is no place of its own.
        seen.written.update(places[1:] if name.startswith("symlink") else places)
    elif name == "socket":
        seen.sockets.add(arguments.split(",")[0])
    elif name == "execve" and result.startswith("0"):
        seen.started.add(places[0])
    elif name == "io_uring_setup" and not result.startswith("-1"):
        seen.unseen.add(name)
    elif name == "listen":
        seen.listening.add(arguments.split(",")[0])
    elif name in _SPEAKS:
        seen.spoken_to.update(_addresses(name, arguments))


def _places(arguments: str, work: Path) -> Iterator[str]:
    for found in _PLACE.finditer(arguments):
        text = re.sub(r"\\(\d{1,3})", lambda octal: chr(int(octal[1], 8)), found[2])
        yield os.path.normpath(Path(found["folder"] or work, text))


def _addresses(name: str, arguments: str) -> Iterator[str]:
    for port, address in _INET.findall(arguments):
        # Any port of this machine's own, to call from: nobody is meant.
        if not (name == "bind" and port == "0"):
            yield f"inet {address}:{port}"
    for port, address in _INET6.findall(arguments):
        if not (name == "bind" and port == "0"):
            yield f"inet6 [{address}]:{port}"
    for abstract, path in _UNIX.findall(arguments):
        yield f"unix {abstract}{path}"
    for family in _FAMILY.findall(arguments):
        if family not in ("AF_INET", "AF_INET6", "AF_UNIX", "AF_UNSPEC"):
            yield family


def _on(what: str, allowed: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(what, pattern) for pattern in allowed)
