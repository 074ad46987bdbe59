"""Home Assistant itself as a subprocess on a free loopback port, with its MQTT integration on a broker of the test."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from broker import free_port

START_S = 120.0
"""How long Home Assistant may take to start; nothing asserts how long it took."""

_SOCKET = Path(__file__).parent / "hub_socket.py"
_JSON = {"Content-Type": "application/json"}
_LINE = re.compile(
    r"^\d{4}-\d\d-\d\d [\d:.]+ (?P<level>\w+) \([^)]*\) \[(?P<logger>[^\]]+)\] (?P<text>.*)", re.MULTILINE
)

# mqtt.util says so where something is asked of the broker in the moment that it went away.
_AWAY = "The client is not currently connected"
_OURS = re.compile(
    r"mqtt|emomusic|template|valid|automation|script|blueprint|helpers\.service|components\.(light|switch|person)",
    re.IGNORECASE,
)


class Hub:
    """One Home Assistant; it may be stopped and started again on its folder.

    Args:
        python: the interpreter that has `homeassistant` installed.
        folder: an empty folder for all that it keeps.
    """

    def __init__(self, python: str, folder: Path) -> None:
        self._python = python
        self._folder = folder
        self._port = free_port()
        self._url = f"http://127.0.0.1:{self._port}"
        self._token = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._log_file = folder / "log.txt"
        (folder / "configuration.yaml").write_text(
            f"homeassistant:\n  name: Test\nhttp:\n  server_host: 127.0.0.1\n  server_port: {self._port}\n"
            "logger:\n  default: warning\n"
        )

    @property
    def version(self) -> str:
        return str(self._get("/api/config")["version"])

    def start(self) -> None:
        command = [self._python, "-m", "homeassistant", "--config", str(self._folder), "--skip-pip"]
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._until(lambda: self._request("GET", "/api/onboarding") is not None, "Home Assistant to listen")
        if not self._token:
            self._come_in()
        self._until(lambda: self._get("/api/config")["state"] == "RUNNING", "Home Assistant to run")

    def stop(self) -> None:
        """End it as a person would, so that it keeps what it knows; harmless when it does not run."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(START_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def join_broker(self, port: int) -> None:
        """Set up the MQTT integration, as a person does in the settings."""
        flow = self._post("/api/config/config_entries/flow", {"handler": "mqtt"})
        done = self._post(f"/api/config/config_entries/flow/{flow['flow_id']}", {"broker": "127.0.0.1", "port": port})
        assert done["type"] == "create_entry", done

    def entities(self) -> dict[str, str]:
        """The entity ids of the MQTT integration by unique id, all that its registry has."""
        listed = self.ask({"type": "config/entity_registry/list"})
        return {entity["unique_id"]: entity["entity_id"] for entity in listed if entity["platform"] == "mqtt"}

    def registry(self) -> dict[str, tuple[str, str, str | None]]:
        """Of each of these entities, by unique id: the registry's own key, the entity id, the name its owner gave."""
        listed = self.ask({"type": "config/entity_registry/list"})
        return {
            entity["unique_id"]: (entity["id"], entity["entity_id"], entity["name"])
            for entity in listed
            if entity["platform"] == "mqtt"
        }

    def devices(self) -> dict[str, dict[str, Any]]:
        """The devices of the MQTT integration by name."""
        listed = self.ask({"type": "config/device_registry/list"})
        return {
            device["name"]: device for device in listed if any(domain == "mqtt" for domain, _ in device["identifiers"])
        }

    def states(self) -> dict[str, dict[str, Any]]:
        """All states, with their attributes, by entity id."""
        return {state["entity_id"]: state for state in self._get("/api/states")}

    def state(self, entity_id: str) -> str:
        """The state of one entity; `gone` where there is none."""
        found = self.states().get(entity_id)
        return "gone" if found is None else str(found["state"])

    def call(self, service: str, entity_id: str, **data: Any) -> None:
        """Do what a person does in the app: `switch.turn_off`, `number.set_value`, …"""
        self._post(f"/api/services/{service.replace('.', '/')}", {"entity_id": entity_id, **data})

    def complaints(self) -> list[str]:
        """Warnings and errors in its log that have to do with MQTT, with automations or with us.

        What an automation does wrong is logged under its own name, which need not be ours. That the broker went away
        and came back is not our doing.
        """
        lines = []
        for match in _LINE.finditer(self._log_file.read_text(errors="replace")):
            if match["level"] not in ("WARNING", "ERROR", "CRITICAL"):
                continue
            if (
                _OURS.search(f"{match['logger']} {match['text']}")
                and match["logger"] != "homeassistant.components.mqtt.client"
                and _AWAY not in match["text"]
            ):
                lines.append(match[0])
        return lines

    def ask(self, question: dict[str, Any]) -> Any:
        """The result of a question over its WebSocket API."""
        socket = f"{self._url.replace('http', 'ws')}/api/websocket"
        command = [self._python, str(_SOCKET), socket, self._token, json.dumps(question)]
        asked = subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False)
        assert asked.returncode == 0, asked.stderr
        return json.loads(asked.stdout)

    def _come_in(self) -> None:
        """Make the first account through the onboarding API, and take a token for it."""
        client = f"{self._url}/"
        account = {"name": "Test", "username": "test", "password": "test", "client_id": client, "language": "en"}
        code = self._post("/api/onboarding/users", account)["auth_code"]
        form = urllib.parse.urlencode({"grant_type": "authorization_code", "code": code, "client_id": client})
        self._token = json.loads(self._request("POST", "/auth/token", form.encode(), {}) or b"{}")["access_token"]

    def _get(self, path: str) -> Any:
        return json.loads(self._request("GET", path) or b"null")

    def _post(self, path: str, data: dict[str, Any]) -> Any:
        return json.loads(self._request("POST", path, json.dumps(data).encode()) or b"null")

    def _request(self, method: str, path: str, data: bytes | None = None, headers: Any = _JSON) -> bytes | None:
        """The body of the answer; None while nobody listens."""
        known = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        request = urllib.request.Request(self._url + path, data, {**headers, **known}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=START_S) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            pytest.fail(f"{method} {path}: {error.code} {error.read()[:500]!r}")
        except OSError:
            return None

    def _until(self, true: Any, what: str) -> None:
        end = time.monotonic() + START_S
        while not true():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"waited for {what}:\n{self._log_file.read_text(errors='replace')[-4000:]}")
            time.sleep(0.1)
