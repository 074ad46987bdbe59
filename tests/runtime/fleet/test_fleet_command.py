"""`emomusic-edge fleet` as it is typed, against a real mosquitto with devices on it: the real publisher in each."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from broker import DEADLINE_S, Broker, Listener, wait_until
from logins import SECRET, access_list_in, client_line, guarded
from pages import blocks, text_of
from sample_snapshot import SNAPSHOT
from typer.main import get_group

from emomusic_edge.cli.fleet import app
from emomusic_edge.contracts import Command, Pause, SetMode
from emomusic_edge.runtime.fleet.watch import FleetWatch
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.connection import BrokerConnection
from emomusic_edge.runtime.mqtt.inbox import CommandRate
from emomusic_edge.runtime.mqtt.line import Outgoing, Received, Subscription
from emomusic_edge.runtime.mqtt.messages import DeviceFacts, ModelFact
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher

pytestmark = pytest.mark.broker

FACTS = DeviceFacts("0.5.0", "test", {"face": ModelFact("face-starter", "CPUExecutionProvider")})


class Device:
    """A device's publisher, called in turn as the loop would, and what it was told to do."""

    def __init__(self, settings: BrokerSettings, reasons: dict[str, str], rate: CommandRate) -> None:
        self.obeyed: list[Command] = []
        self._snapshot = replace(SNAPSHOT, reasons=reasons)
        self._publisher = MqttPublisher(settings, FACTS, rate=rate)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._turn)

    def start(self) -> None:
        self._publisher.start()
        self._thread.start()
        wait_until(lambda: not self._publisher.reason(), self._publisher.reason)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._publisher.close()

    def _turn(self) -> None:
        while not self._stop.wait(0.05):
            self.obeyed += self._publisher.commands()
            self._publisher.publish(self._snapshot)


@contextmanager
def devices(
    broker: Broker,
    *nodes: str,
    reasons: dict[str, str] | None = None,
    rate: CommandRate | None = None,
    **login: str,
) -> Iterator[dict[str, Device]]:
    with ExitStack() as stack:
        base = BrokerSettings(port=broker.port, repeat_s=1.0, **login)  # type: ignore[arg-type]
        there = {node: Device(replace(base, node=node), reasons or {}, rate or CommandRate()) for node in nodes}
        for device in there.values():
            device.start()
            stack.callback(device.stop)
        yield there


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Broker(folder)
    broker.start()
    yield broker
    broker.stop()


def fleet(broker: Broker | int, *arguments: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    port = broker.port if isinstance(broker, Broker) else broker
    line = [sys.executable, "-m", "emomusic_edge", "fleet", *arguments, "--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {"XDG_CONFIG_HOME": str(tmp_path / "config"), "COLUMNS": "120"}
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120)


def test_json_tells_every_device_once(broker: Broker, tmp_path: Path) -> None:
    with devices(broker, "hall", "kitchen", reasons={"camera": "no picture"}), Listener(broker) as listener:
        listener.send("emomusic/attic/availability", "offline", retain=True)
        listener.send("emomusic/attic/health", b"{broken")
        listener.barrier()
        done = fleet(broker, "--json", tmp_path=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["complete"]
    nodes = {node["node"]: node for node in document["nodes"]}
    assert {name: node["standing"] for name, node in nodes.items()} == {
        "attic": "offline",
        "hall": "online",
        "kitchen": "online",
    }
    hall = nodes["hall"]
    assert (hall["version"], hall["reasons"], hall["mode"]) == ("0.5.0", {"camera": "no picture"}, "mirror")
    assert hall["models"]["face"] == {"name": "face-starter", "provider": "CPUExecutionProvider"}
    assert not {"song", "mood"} & set(hall)


def test_the_table_is_printed_where_there_is_no_terminal(broker: Broker, tmp_path: Path) -> None:
    with devices(broker, "hall", reasons={"audio": "no device"}):
        done = fleet(broker, "--moods", tmp_path=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("hall", "0.5.0", "pleasure", "Evening", "hall: audio: no device", "1 node, 1 online"):
        assert words in done.stdout
    assert "\x1b" not in done.stdout


def test_on_a_terminal_the_table_lives(broker: Broker, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "emomusic_edge", "fleet", "--host", "127.0.0.1", "--port", str(broker.port)]
    environment = os.environ | {"XDG_CONFIG_HOME": str(tmp_path), "COLUMNS": "110", "LINES": "30", "TERM": "xterm"}
    ours, theirs = pty.openpty()
    shown = bytearray()

    def read() -> None:
        # Reading raises when the program has closed its end.
        while True:
            try:
                shown.extend(os.read(ours, 65536))
            except OSError:
                return

    with devices(broker, "hall"):
        program = subprocess.Popen(line, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        reader = threading.Thread(target=read)
        reader.start()
        wait_until(lambda: b"mirror" in shown, lambda: f"the live table; shown was {bytes(shown)!r}")
        with devices(broker, "newcomer"):
            wait_until(lambda: b"newcomer" in shown, "the device that came later")
            wait_until(lambda: b"2 online" in shown, "the sum of both")
        broker.stop()
        wait_until(lambda: b"reconnecting" in shown, "the lost broker to be told")
        program.send_signal(2)
        assert program.wait(30) == 0
        reader.join()
    os.close(ours)


def test_all_that_are_online_are_asked_and_answer(broker: Broker, tmp_path: Path) -> None:
    with devices(broker, "hall", "kitchen") as there, Listener(broker) as listener:
        listener.send("emomusic/attic/availability", "offline", retain=True)
        listener.barrier()
        done = fleet(broker, "send", "--all", "pause", tmp_path=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        lines = {line.split()[0]: line for line in done.stdout.splitlines()}
        assert lines.keys() == {"attic", "hall", "kitchen"}
        assert "offline, not asked" in lines["attic"]
        wait_until(lambda: all(device.obeyed == [Pause()] for device in there.values()), "both to pause")
        # Nobody else's topics are used, so that an access list can keep devices apart.
        assert {topic for topic in listener.topics() if "cmd" in topic and topic.endswith("result")} == {
            "emomusic/hall/cmd/pause/result",
            "emomusic/kitchen/cmd/pause/result",
        }


def test_named_devices_alone_are_asked(broker: Broker, tmp_path: Path) -> None:
    with devices(broker, "hall", "kitchen") as there:
        done = fleet(broker, "send", "-n", "hall", "mode", "calm", "--json", tmp_path=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        (outcome,) = json.loads(done.stdout)["nodes"]
        assert (outcome["node"], outcome["answer"]) == ("hall", "ok")
        wait_until(lambda: there["hall"].obeyed, "the command to be obeyed")
        (command,) = there["hall"].obeyed
        assert isinstance(command, SetMode)
        assert there["kitchen"].obeyed == []


def test_mqtt_3_1_1_does_as_well(broker: Broker, tmp_path: Path) -> None:
    with devices(broker, "hall") as there:
        old = ["--set", "mqtt.protocol=3.1.1"]
        document = json.loads(fleet(broker, "--json", *old, tmp_path=tmp_path).stdout)
        assert document["complete"]
        done = fleet(broker, "send", "--all", "skip", *old, tmp_path=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        wait_until(lambda: there["hall"].obeyed, "the command to be obeyed")


def test_more_devices_than_the_line_takes_at_once_are_all_asked(broker: Broker) -> None:
    names = [f"room-{number}" for number in range(300)]
    settings = BrokerSettings(port=broker.port)
    asked: list[str] = []

    def answer(message: Received) -> None:
        asked.append(message.topic)
        line.send(Outgoing(message.response_topic, b'{"ok": true, "reason": ""}', correlation=message.correlation))

    commands = Subscription("emomusic/+/cmd/pause", answer)
    line = BrokerConnection(settings, client_id="all-devices", subscriptions=[commands], on_ready=lambda: None)
    line.start()
    try:
        with Listener(broker) as listener, FleetWatch(settings, readings=False) as watch:
            for name in names:
                listener.send(f"emomusic/{name}/availability", "online", retain=True)
            watch.wait_known(names, DEADLINE_S)
            outcomes = watch.ask([], "pause", b"", DEADLINE_S).outcomes()
    finally:
        line.close()
    assert [outcome.node for outcome in outcomes if outcome.answer == "ok"] == names
    assert len(asked) == len(names)


def test_who_is_offline_unknown_or_mute_is_told_and_is_a_failure(broker: Broker, tmp_path: Path) -> None:
    with Listener(broker) as listener:
        listener.send("emomusic/attic/availability", "offline", retain=True)
        listener.send("emomusic/mute/availability", "online", retain=True)
        listener.barrier()
        named = ["-n", "attic", "-n", "mute", "-n", "nowhere"]
        done = fleet(broker, "send", *named, "--wait", "1", "--json", "skip", tmp_path=tmp_path)
    assert done.returncode == 1
    outcomes = {outcome["node"]: outcome["answer"] for outcome in json.loads(done.stdout)["nodes"]}
    assert outcomes == {"attic": "offline", "mute": "silent", "nowhere": "unknown"}


def test_a_refusal_is_told_with_its_reason(broker: Broker, tmp_path: Path) -> None:
    one_an_hour = CommandRate(per_s=1 / 3600, burst=1)
    with devices(broker, "hall", rate=one_an_hour), Listener(broker) as listener:
        listener.send("emomusic/hall/cmd/skip")
        assert listener.wait("emomusic/hall/cmd/skip/result").json["ok"]
        done = fleet(broker, "send", "-n", "hall", "like", tmp_path=tmp_path)
    assert done.returncode == 1
    assert "refused" in done.stdout
    assert "commands a second" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["send", "--all", "paus"], 3, "did you mean `pause`?"),
        (["send", "--all", "volume", "7"], 3, "a number from 0 to 1"),
        (["send", "pause"], 3, "either --all or --node"),
        (["send", "--all", "-n", "hall", "pause"], 3, "either --all or --node"),
        (["send", "--all", "pause"], 1, "No device is known"),
    ],
)
def test_what_cannot_be_sent_is_refused_here(
    broker: Broker, tmp_path: Path, arguments: list[str], code: int, told: str
) -> None:
    done = fleet(broker, *arguments, tmp_path=tmp_path)
    assert (done.returncode, told in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_the_help_of_the_group_names_every_option_that_it_takes_alone() -> None:
    group = get_group(app)
    watch = group.commands["watch"]
    options = {name for option in watch.params for name in option.opts if name.startswith("--")} - {"--help"}
    assert {"--json", "--host", "--moods"} <= options
    assert options == set(re.findall(r"--[a-z-]+(?=[:, ])", group.help or ""))


def test_a_broker_that_is_away_is_named(tmp_path: Path) -> None:
    done = fleet(1, "--json", tmp_path=tmp_path)
    assert done.returncode == 9
    assert "127.0.0.1:1" in done.stderr
    assert "--host" in done.stderr


def test_the_access_list_of_the_page_is_enough_and_tells_nothing_of_feelings(tmp_path: Path) -> None:
    own = tmp_path / "password"
    own.write_text(f"{SECRET}\n")
    own.chmod(0o600)
    of_devices = access_list_in(text_of("docs/mqtt.md"))
    (of_fleet,) = [block for block in blocks(text_of("docs/fleet.md"), "text") if "user fleet" in block]
    with guarded(tmp_path, f"{of_devices}\n{of_fleet}", "hall", "fleet") as broker:
        login = ["--username", "fleet", "--password-file", str(own)]
        with devices(broker, "hall", username="hall", password=SECRET) as there, Listener(broker) as listener:
            patterns = [word for topic in ("emomusic/#", "emomusic-group/#") for word in ("-t", topic)]
            line = [*client_line("mosquitto_sub", broker, "fleet"), *patterns, "-W", "4", "-F", "%t"]
            overheard = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
            done = fleet(broker, "--json", "--moods", "--seconds", "3", *login, tmp_path=tmp_path)
            assert done.returncode == 0, done.stderr
            document = json.loads(done.stdout)
            (hall,) = document["nodes"]
            assert (hall["node"], hall["standing"], hall["version"]) == ("hall", "online", "0.5.0")
            assert not document["complete"]
            assert (hall["mood"], hall["song"], hall["mode"]) == (None, None, "")
            done = fleet(broker, "send", "--all", "pause", *login, tmp_path=tmp_path)
            assert done.returncode == 0, done.stdout + done.stderr
            wait_until(lambda: there["hall"].obeyed == [Pause()], "the device to pause")
            listener.send("emomusic-group/downstairs/plan", "{}")
            out, _ = overheard.communicate(timeout=DEADLINE_S)
            assert "emomusic/hall/state" in listener.topics()
            assert set(out.split()) <= {f"emomusic/hall/{name}" for name in ("availability", "health", "claim")} | {
                "emomusic/hall/cmd/pause/result"
            }
            assert "emomusic/hall/health" in out
