"""What describes a device to Home Assistant: one retained JSON on `<prefix>/device/<device id>/emomusic/config`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.messages import AVAILABILITY

from .components import Component, components, device_key, device_name, unique_id
from .remembered import Place


def discovery_topic(prefix: str, device: str) -> str:
    """Where the document of a device stands; `prefix` is `homeassistant` unless its owner changed it there.

    The node's name is not in it: Home Assistant takes a document on another topic for other entities, and throws away
    what their owner had set of the former ones. The device has a level of its own (Home Assistant's `node_id`), so that
    a broker's access list can give each device its own place and no other's.
    """
    return f"{prefix}/device/{device}/emomusic/config"


def availability_topic(node: str) -> str:
    """Where a node is told to be online or offline."""
    return f"emomusic/{node}/{AVAILABILITY.name}"


def status_topic(prefix: str) -> str:
    """Where Home Assistant says `online` when it has started (its birth message)."""
    return f"{prefix}/status"


def document(settings: BrokerSettings, *, version: str, serial: str) -> dict[str, Any]:
    """What is announced of a device.

    Args:
        settings: the node and its topics.
        version: of this program.
        serial: the mark of this very device, by which it knows its own document again.
    """
    return {
        "device": {
            "identifiers": [f"emomusic_{device_key(settings)}"],
            "name": device_name(settings.node),
            "manufacturer": "emomusic-edge",
            "model": "Mood estimate and music",
            "sw_version": version,
            "serial_number": serial,
        },
        "origin": {"name": "emomusic-edge", "sw_version": version},
        "availability_topic": availability_topic(settings.node),
        "components": components(settings),
    }


def with_removals(described: Mapping[str, Any], removed: Mapping[str, str]) -> dict[str, Any]:
    """The same document, in which components of a former version are told to be gone.

    Home Assistant removes a component that is told with nothing but its platform; the document without it may follow.

    Args:
        described: the document.
        removed: the platform of each component that is gone, by its id.
    """
    gone: dict[str, Component] = {name: {"platform": platform} for name, platform in removed.items()}
    return {**described, "components": gone | described["components"]}


def brought_back(place: Place, gone: Mapping[str, str], *, serial: str) -> dict[str, Any]:
    """A document that is told for a moment, never retained: Home Assistant removes only what it has discovered.

    What was taken back while it was off it still has in its registry. It takes these components for the ones it knows,
    by their `unique_id`, and then removes them when it is told to.

    Args:
        place: where they were announced.
        gone: the platform of each, by its id.
        serial: the mark of this device.
    """
    availability = availability_topic(place.node)
    device = {"identifiers": [f"emomusic_{place.device}"], "name": device_name(place.node), "serial_number": serial}
    return {
        "device": device,
        "origin": {"name": "emomusic-edge"},
        "availability_topic": availability,
        "components": {
            name: {
                "platform": platform,
                "unique_id": unique_id(place.device, name.removeprefix(f"{platform}_")),
                # Something that its platform asks for.
                **(
                    {"state_topic": availability}
                    if "sensor" in platform
                    else {"command_topic": f"emomusic/{place.node}/cmd"}
                ),
                **({"options": ["-"]} if platform == "select" else {}),
            }
            for name, platform in gone.items()
        },
    }


def speaks_for(payload: bytes, node: str) -> bool:
    """Whether a document is that of a device of this name."""
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        return bool(json.loads(payload)["availability_topic"] == availability_topic(node))
    return False


def serial_in(payload: bytes) -> str:
    """The mark of the device that announced a document; empty where it is no document of ours."""
    # UnicodeDecodeError is a ValueError.
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        serial = json.loads(payload)["device"]["serial_number"]
        return serial if isinstance(serial, str) else ""
    return ""
