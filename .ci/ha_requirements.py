"""Prints what Home Assistant's own parts require that every start loads, and MQTT; run by its own Python."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import homeassistant.bootstrap as bootstrap

COMPONENTS = Path(bootstrap.__file__).parent / "components"

waiting = [
    *bootstrap.CORE_INTEGRATIONS,
    *bootstrap.DEFAULT_INTEGRATIONS,
    *("api", "config", "isal", "mqtt", "recorder", "system_log"),
    *("binary_sensor", "button", "number", "select", "sensor", "switch"),
]
seen: set[str] = set()
requirements: set[str] = set()
while waiting:
    name = waiting.pop()
    manifest = COMPONENTS / name / "manifest.json"
    if name in seen or not manifest.is_file():
        continue
    seen.add(name)
    described = json.loads(manifest.read_text())
    requirements.update(described.get("requirements", []))
    waiting += described.get("dependencies", [])
sys.stdout.write("".join(f"{requirement}\n" for requirement in sorted(requirements)))
