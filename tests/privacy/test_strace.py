"""All that a run writes and whom it speaks to, as the kernel sees it, held against the list in docs/privacy.md."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest
from broker import Listener, wait_until
from closed_room import ClosedRoom, Run, Service
from tone_files import write_tone
from witness import Seen, seen_in

from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.privacy.history import HistoryFile
from emomusic_edge.runtime.privacy.minute import Minute
from emomusic_edge.runtime.privacy.notice import NOTICE

pytestmark = pytest.mark.broker

STATE = "emomusic/room/state"


def listed_files(repo: Path, room: ClosedRoom) -> list[str]:
    """The page's list but for what a run must be asked for, each with what is below it and with what it replaces."""
    page = (repo / "docs" / "privacy.md").read_text()
    table = page.partition("## Every file it writes")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `((?:DATA|CACHE)/[^`]+)` \| (.*?) \|", table, re.MULTILINE)
    assert len(rows) >= 6
    files = []
    for name, when in rows:
        if when.startswith("only with "):
            continue
        place, _, rest = name.partition("/")
        folder = room.data if place == "DATA" else room.cache
        files += [f"{folder}/{rest}", f"{folder}/{rest}/*", f"{folder}/.{rest}.*", f"{folder}/{rest}-journal"]
    return files


def beyond(seen: Seen, repo: Path, room: ClosedRoom, *more: str, at_terminal: bool = False) -> list[str]:
    """What a run did that it may not."""
    written = [
        *listed_files(repo, room),
        # The folders themselves, and the devices: the camera, and what takes the output of its process.
        *(str(room.data), str(room.cache)),
        *("/dev/null", "/dev/video0"),
        # Python keeps its own modules compiled, where the program's folder may be written; the service's may not.
        *("*/__pycache__", "*/__pycache__/*.pyc", "*/__pycache__/*.pyc.*"),
    ]
    spoken_to = [
        f"inet 127.0.0.1:{room.broker_port}",
        f"inet6 [[]::1]:{room.broker_port}",
        # The C library looks for a cache of names on this machine, then reads /etc/hosts.
        "unix /var/run/nscd/socket",
        # Where the unit sends ALSA's question for a sound server: nobody listens there.
        "unix /dev/null",
        *more,
    ]
    if at_terminal:
        # A sound server that plays for the whole machine.
        spoken_to.append("unix /var/run/pulse/native")
    # The program, and the process of its camera. strace sees `env` start the first.
    return seen.beyond(written, spoken_to, ["/usr/bin/env", "/bin/env", str(Path(sys.executable))])


def command(listener: Listener, name: str, payload: str = "") -> None:
    listener.send(f"emomusic/room/cmd/{name}", payload)
    listener.wait(f"emomusic/room/cmd/{name}/result")


def test_the_service_writes_what_the_page_lists_and_speaks_to_its_broker_alone(
    room: ClosedRoom, listener: Listener, service: Service, repo: Path, tmp_path: Path
) -> None:
    run = service(traces=tmp_path / "traces")
    listener.wait(STATE, lambda heard: heard.json["camera_on"])
    listener.wait("emomusic/room/music", lambda heard: heard.json["song"] is not None)
    for name in ("like", "skip", "dislike", "pause", "resume"):
        command(listener, name)
    for name, payload in (("camera", "OFF"), ("camera", "ON"), ("mode", "guide"), ("volume", "0.4"), ("mood", "junk")):
        command(listener, name, payload)
    wait_until((room.data / "likes.sqlite").exists, "the like to be written")
    listener.wait("emomusic/room/health", count=len(listener.all("emomusic/room/health")) + 1)
    command(listener, "forget")
    assert run.stop() == 0

    seen = seen_in(tmp_path / "traces", room.work)
    assert beyond(seen, repo, room, f"unix {room.folder}/notify") == []
    # Sound was looked for as the unit has it: through ALSA, past the sound servers' libraries.
    assert "no audio device answers: ALSA" in " ".join(room.log.read_text().split())
    # The list is no longer than it must be, and strace did look.
    assert {f"{room.data}/{name}" for name in ("home-assistant.json", "camera.json", "likes.sqlite")} <= seen.written
    assert any(path.startswith(f"{room.cache}/graphs/") for path in seen.written)
    assert f"inet 127.0.0.1:{room.broker_port}" in seen.spoken_to
    assert seen.sockets <= {"AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"}


def test_with_a_broker_on_a_unix_socket_it_makes_no_socket_of_any_network(
    room: ClosedRoom, listener: Listener, service: Service, repo: Path, tmp_path: Path
) -> None:
    broker = f"{room.folder}/broker/mqtt.sock"
    run = service(f'mqtt.host = "{broker}"', traces=tmp_path / "traces")
    listener.wait(STATE, lambda heard: heard.json["camera_on"])
    command(listener, "skip")
    assert run.stop() == 0

    seen = seen_in(tmp_path / "traces", room.work)
    assert beyond(seen, repo, room, f"unix {room.folder}/notify", f"unix {broker}") == []
    assert f"unix {broker}" in seen.spoken_to
    # What private-network.conf leaves it.
    private = (repo / "systemd" / "private-network.conf").read_text()
    allowed = re.findall(r"^RestrictAddressFamilies=(.*)$", private, re.MULTILINE)
    assert allowed == ["", "AF_UNIX"]
    assert seen.sockets == {"AF_UNIX"}


@pytest.mark.slow
def test_the_demo_writes_what_the_page_lists_and_speaks_to_its_broker_alone(
    room: ClosedRoom, listener: Listener, repo: Path, tmp_path: Path
) -> None:
    room.camera.unplug()
    assignments = [f"paths.data_dir={room.data}", f"mqtt.port={room.broker_port}", "mqtt.node=room"]
    flags = [word for one in assignments for word in ("--set", one)]
    run = Run(room, ["demo", *flags], traces=tmp_path / "traces")
    assert run.wait() == 0, room.log.read_text()
    assert "running on the demo clip" in room.log.read_text()
    listener.wait(STATE)
    assert beyond(seen_in(tmp_path / "traces", room.work), repo, room, at_terminal=True) == []


OFFENDER = """
import os, pathlib, socket, threading
def offend():
    home = pathlib.Path.home() / ".tracker"
    home.mkdir()
    (home / "id").write_text("1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.sendto(b"hello", ("192.0.2.7", 4318))
        except OSError:
            pass
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as other:
        try:
            other.connect(("2001:db8::7", 443))
        except OSError:
            pass
    with socket.socket(socket.AF_UNIX) as local:
        try:
            local.connect("\\0tracker")
        except OSError:
            pass
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as ears:
        ears.bind(("127.0.0.1", 0))
        ears.listen()
    os.spawnlp(os.P_WAIT, "true", "true")
thread = threading.Thread(target=offend)
thread.start()
thread.join()
"""


def test_a_dependency_that_writes_or_dials_is_found(
    room: ClosedRoom, listener: Listener, repo: Path, tmp_path: Path
) -> None:
    planted = tmp_path / "planted"
    planted.mkdir()
    # Python imports this by itself, as it would a dependency's .pth file.
    (planted / "sitecustomize.py").write_text(OFFENDER)
    run = Run(room, ["config", "path"], traces=tmp_path / "traces", environment={"PYTHONPATH": str(planted)})
    assert run.wait() == 0, room.log.read_text()
    found = beyond(seen_in(tmp_path / "traces", room.work), repo, room)
    program = next(line for line in found if line.startswith("started "))
    assert Path(program.removeprefix("started ")).name == "true"
    listened = [line for line in found if line.startswith("listened on ")]
    assert len(listened) == 1
    assert [line for line in found if line not in (program, *listened)] == [
        "spoke to inet 192.0.2.7:4318",
        "spoke to inet6 [2001:db8::7]:443",
        "spoke to unix @tracker",
        f"wrote {room.home}/.tracker",
        f"wrote {room.home}/.tracker/id",
    ]


def test_a_history_is_the_one_file_more_that_was_asked_for(
    room: ClosedRoom, listener: Listener, service: Service, repo: Path, tmp_path: Path
) -> None:
    history = DataLayout(room.data).history
    now_s = time.time()
    HistoryFile(history, kept_s=3600.0).add(Minute(int(now_s // 60) * 60, 0.0, 3.0, 1, 0), now_s)
    notice = write_tone(tmp_path / "notice.wav", 0.5)
    run = service("privacy.history_h = 24", f'privacy.notice = "{notice}"', traces=tmp_path / "traces")
    listener.wait("emomusic/room/music", lambda heard: heard.json["song"] is not None)
    command(listener, "forget")
    wait_until(lambda: not history.exists(), "the history to go")
    assert run.stop() == 0
    assert NOTICE in room.log.read_text()
    assert beyond(seen_in(tmp_path / "traces", room.work), repo, room, f"unix {room.folder}/notify") == [
        f"wrote {history}",
        f"wrote {history}-journal",
    ]
