"""The bench of the faults: broker, proxy, device and controller, and the proof that all is well again after one."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fault_broker import HOST, USER, FaultBroker
from fault_controller import DOCUMENT, WHOLE, Answer, Controller
from fault_device import Device
from fault_proxy import FaultProxy

from emomusic_edge.paths import DataLayout

NODE = "faulty"
RIGHT = {"availability": b"online", DOCUMENT: WHOLE}
"""What the broker keeps of a device that is well."""
PATIENCE_S = 60.0
"""How long the device may be away before it is given up; how fast it must be back is judged elsewhere."""


@dataclass(frozen=True)
class Blow:
    """A fault that has been done and undone.

    Attributes:
        healed_at_s: when nothing stood in the way any more, monotonic; of a line that died unseen, when it died.
        breaks: whether the line cannot have outlived it.
        half_open: whether the device can only learn of it by silence.
        note: what was done, in a few words.
        kept_answers: commands that had to be answered while it lasted, and were.
        lost_answers: and were not.
    """

    healed_at_s: float
    breaks: bool = True
    half_open: bool = False
    note: str = ""
    kept_answers: int = 0
    lost_answers: int = 0


@dataclass(frozen=True)
class Recovery:
    """How the device came back.

    Attributes:
        back_s: from the heal until it was well, the broker kept the right state, and a fresh state was told.
        right_s: the same from its last connection on.
        reconnected: whether a new line was made.
        answered: whether the command sent then was answered once and obeyed.
        kept: what the broker had retained under the node.
    """

    back_s: float
    right_s: float
    reconnected: bool
    answered: bool
    kept: dict[str, bytes]


class Rig:
    """All parts, running."""

    def __init__(
        self,
        folder: Path,
        layout: DataLayout,
        *,
        tls: bool = True,
        login: bool = True,
        broker_up: bool = True,
        environment: dict[str, str] | None = None,
        device_environment: dict[str, str] | None = None,
        **settings: Any,
    ) -> None:
        """Start all but, if so asked, the broker.

        Args:
            folder: an empty one.
            layout: where the bundles and the music are.
            tls, login: what the device's door asks for.
            broker_up: whether the broker runs before the device does.
            environment: more variables for broker and device; device_environment, for the device alone.
            settings: of BrokerSettings, for the device.
        """
        self.folder, self._layout, self._environment = folder, layout, device_environment or environment
        self.broker = FaultBroker(folder / "broker", tls=tls, login=login, environment=environment)
        if broker_up:
            self.broker.start()
        self.proxy = FaultProxy(self.broker.port)
        self.password_file = folder / "device-password"
        self.write_password()
        self.settings: dict[str, Any] = {"host": HOST, "port": self.proxy.port, "node": NODE, **settings}
        if tls:
            self.settings |= {"tls": True, "ca_file": str(self.broker.ca)}
        if login:
            self.settings |= {"username": USER, "password_file": str(self.password_file)}
        self.device = self._start_device("device.log", self.settings)
        self.controller = Controller(self.broker.unix_socket, NODE, numbered=self.settings.get("protocol", "5") == "5")
        self.controller.start()
        self._volumes = itertools.cycle(0.5 + number / 100 for number in range(50))

    @property
    def keepalive_s(self) -> float:
        return float(self.settings.get("keepalive_s", 8))

    def crash_device(self) -> None:
        """Kill it, and start it anew at once, as a service manager does."""
        self.device.kill()
        self.device = self._start_device("device-anew.log", self.settings)

    def another_device(self, log: str) -> Device:
        """One more process with the same settings, the same node among them; not by the proxy."""
        return self._start_device(log, {**self.settings, "port": self.broker.port}, announced=f"{log}.json")

    def _start_device(self, log: str, settings: dict[str, Any], announced: str = "announced.json") -> Device:
        return Device(self._layout.root, self.folder / log, self.folder / announced, settings, self._environment)

    def write_password(self) -> None:
        """Tell the device the password of the moment."""
        self.password_file.write_text(f"{self.broker.password}\n", encoding="utf-8")

    def until(self, true: Callable[[], object], what: str) -> float:
        """Wait for something of the device, which must live; when it came, monotonic."""
        end_s = time.monotonic() + PATIENCE_S
        while not true():
            if not self.device.alive:
                pytest.fail(f"the device ended while {what} was awaited:\n{self.device.log()[-3000:]}")
            if time.monotonic() > end_s:
                pytest.fail(f"{PATIENCE_S:g} s waited for {what}; it says {self.device.now.reason!r}")
            time.sleep(0.01)
        return time.monotonic()

    def well_since(self, since_s: float) -> bool:
        """Whether the device has said after that time that all is well."""
        now = self.device.now
        return now.at_s > since_s and now.reason == ""

    def settled(self) -> None:
        """Wait for the first well-being."""
        self.recovery(Blow(time.monotonic(), breaks=False), accepted_before=-1)

    def recovery(self, blow: Blow, accepted_before: int) -> Recovery:
        """Follow the device until all is right again, and ask it for something.

        Args:
            blow: what happened.
            accepted_before: FaultProxy.accepted before it.
        """
        proxy, controller = self.proxy, self.controller

        def connected() -> bool:
            is_new = proxy.accepted > accepted_before
            return (is_new or not blow.breaks) and self.well_since(max(blow.healed_at_s, proxy.accepted_at_s))

        def told() -> bool:
            return controller.newest("state")[0] > max(blow.healed_at_s, proxy.accepted_at_s)

        def right() -> bool:
            kept = controller.kept() or {}
            return RIGHT.items() <= kept.items()

        self.until(lambda: controller.ready, "the controller to be back")
        self.until(connected, "the device to be back and well")
        self.until(told, "a fresh state to be told")
        right_at_s = self.until(right, "the device to be told online")
        reconnected = proxy.accepted > accepted_before
        line_at_s = max(blow.healed_at_s, proxy.accepted_at_s) if reconnected else blow.healed_at_s
        return Recovery(
            back_s=right_at_s - blow.healed_at_s,
            right_s=right_at_s - line_at_s,
            reconnected=reconnected,
            answered=self.ask(),
            # After the answer, so that what must not be kept has had its time to be.
            kept=controller.kept() or {},
        )

    def ask(self, within_s: float = 3.0) -> bool:
        """Send a command that shows in what is told; whether it was answered, once, and obeyed."""
        volume = next(self._volumes)
        answer = self._asked(volume, within_s)
        while answer is not None and not answer.ok and "a second" in answer.reason:
            # After a flood: the refusal was an answer too.
            time.sleep(0.5)
            answer = self._asked(volume, within_s)
        if answer is None or not answer.ok:
            return False
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            music = self.controller.newest("music")[1]
            if music is not None and abs(music["volume"] - volume) < 1e-6:
                return True
            time.sleep(0.01)
        return False

    def _asked(self, volume: float, within_s: float) -> Answer | None:
        return self.controller.answer(self.controller.send("volume", f"{volume:.2f}"), within_s)

    def close(self) -> int:
        """End all; the device's exit code."""
        if self.broker.running:
            self.broker.thaw()
        self.proxy.heal()
        code = self.device.close()
        self.controller.close()
        self.proxy.close()
        self.broker.stop()
        return code


@contextmanager
def rigged(folder: Path, layout: DataLayout, **how: Any) -> Iterator[Rig]:
    """A rig that is ended whatever happens."""
    rig = Rig(folder, layout, **how)
    try:
        yield rig
    finally:
        rig.close()
