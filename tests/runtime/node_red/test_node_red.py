"""Node-RED itself with the flow of the page, a real mosquitto and the real publisher.

`make node-red-check` puts it into a folder and names that in NODE_RED.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from broker import DEADLINE_S, Broker, Listener, wait_until
from sample_snapshot import SNAPSHOT

from emomusic_edge.contracts import Mode, SetMode, StableAffect, StateSnapshot, ValenceArousal
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.inbox import CommandRate
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher

FOLDER = os.environ.get("NODE_RED", "")
NODE = shutil.which("node")
DEVICE = "emomusic/living-room"
ANSWERS = f"{DEVICE}/node-red/result"
PLENTY = CommandRate()
SETTINGS = """
module.exports = {
    httpAdminRoot: false, httpNodeRoot: false, httpStatic: [], uiHost: "127.0.0.1", uiPort: 0,
    flowFile: "flows.json", credentialSecret: false, telemetry: { enabled: false, updateNotification: false },
    externalModules: { autoInstall: false, palette: { allowInstall: false }, modules: { allowInstall: false } },
};
"""

pytestmark = [
    pytest.mark.nodered,
    pytest.mark.broker,
    pytest.mark.skipif(not (FOLDER and NODE), reason="NODE_RED names no folder that has Node-RED: make node-red-check"),
]


def affect(valence: float, *, held: bool = False) -> StateSnapshot:
    """A state in which the device is as sure as the starter models are of the demo's clip, unless it is held."""
    variance = ValenceArousal(0.86, 1.25)
    return replace(SNAPSHOT, stable=StableAffect(ValenceArousal(valence, 3.0), variance, (held, False), 0.1))


class NodeRed:
    """Node-RED with the page's flow, its broker node pointed at the test's broker."""

    def __init__(self, folder: Path, flow: Path, port: int) -> None:
        nodes = json.loads(flow.read_text(encoding="utf-8"))
        for node in nodes:
            if node["type"] == "mqtt-broker":
                node["port"] = port
        (folder / "flows.json").write_text(json.dumps(nodes), encoding="utf-8")
        (folder / "settings.js").write_text(SETTINGS, encoding="utf-8")
        self._folder = folder
        self._log = folder / "log.txt"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = Path(FOLDER) / "node_modules" / "node-red" / "red.js"
        command = [str(NODE), str(program), "--userDir", str(self._folder), "--settings", "settings.js"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        wait_until(lambda: "Connected to broker" in self.said(), lambda: f"Node-RED's connection:\n{self.said()}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(DEADLINE_S)

    def said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")


@pytest.fixture
def node_red(broker: Broker, tmp_path: Path, repo: Path) -> Iterator[NodeRed]:
    folder = tmp_path / "node-red"
    folder.mkdir()
    running = NodeRed(folder, repo / "docs" / "node-red-flow.json", broker.port)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@contextmanager
def publishing(broker: Broker, rate: CommandRate = PLENTY) -> Iterator[MqttPublisher]:
    publisher = MqttPublisher(BrokerSettings(port=broker.port, node="living-room"), rate=rate)
    publisher.start()
    try:
        wait_until(lambda: publisher.reason() == "", "the connection")
        yield publisher
    finally:
        publisher.close()


def tell(publisher: MqttPublisher, listener: Listener, snapshot: StateSnapshot) -> None:
    """Publish until it was told; the publisher holds back what follows too soon."""
    before = len(listener.all(f"{DEVICE}/state"))

    def told() -> bool:
        publisher.publish(snapshot)
        return len(listener.all(f"{DEVICE}/state")) > before

    wait_until(told, "the state to be told")


def test_a_state_is_seen_and_a_command_obeyed_and_answered(
    node_red: NodeRed, broker: Broker, listener: Listener
) -> None:
    with publishing(broker) as publisher:
        tell(publisher, listener, affect(1.0))
        tell(publisher, listener, affect(-1.5, held=True))
        tell(publisher, listener, affect(-1.4))
        assert listener.wait(ANSWERS).json["ok"] is True
        assert list(publisher.commands()) == [SetMode(Mode.GUIDE)]
        wait_until(lambda: "guide for living-room: ok" in node_red.said(), lambda: f"the answer:\n{node_red.said()}")
        # The device leads the way now, and the flow is content.
        tell(publisher, listener, replace(affect(-1.3), mode=Mode.GUIDE))
        listener.barrier()
        assert len(listener.all(f"{DEVICE}/cmd/mode")) == 1


def test_a_refusal_reaches_the_flow(node_red: NodeRed, broker: Broker, listener: Listener) -> None:
    # It takes one command, and that one is not the flow's.
    with publishing(broker, CommandRate(per_s=1e-6, burst=1)) as publisher:
        listener.send(f"{DEVICE}/cmd/volume", "0.5")
        assert listener.wait(f"{DEVICE}/cmd/volume/result").json["ok"] is True
        tell(publisher, listener, affect(-1.5))
        wait_until(
            lambda: "guide for living-room: refused, more than" in node_red.said(),
            lambda: f"the refusal:\n{node_red.said()}",
        )
