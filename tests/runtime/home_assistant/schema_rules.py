"""Home Assistant's published rules for MQTT device discovery, restated: what is wrong with a document, line by line.

From the documentation of its MQTT integration and of each platform; `make ha-check` holds the same document to Home
Assistant itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

TOP_KEYS = {
    *("device", "origin", "components", "state_topic", "command_topic", "qos", "encoding"),
    *("availability", "availability_mode", "availability_template", "availability_topic"),
    *("payload_available", "payload_not_available"),
}
DEVICE_KEYS = {
    *("identifiers", "connections", "manufacturer", "model", "model_id", "name", "hw_version", "serial_number"),
    *("sw_version", "via_device", "suggested_area", "configuration_url"),
}
ORIGIN_KEYS = {"name", "sw_version", "support_url"}
COMMON_KEYS = {
    *("platform", "unique_id", "name", "qos", "icon", "entity_category", "entity_picture", "enabled_by_default"),
    *("default_entity_id", "json_attributes_topic", "json_attributes_template", "encoding"),
    *(TOP_KEYS - {"device", "origin", "components"}),
}
PLATFORM_KEYS = {
    "sensor": {
        *("device_class", "expire_after", "force_update", "last_reset_value_template", "options"),
        *("suggested_display_precision", "state_class", "unit_of_measurement", "value_template"),
    },
    "binary_sensor": {
        *("device_class", "expire_after", "force_update", "off_delay", "payload_off", "payload_on", "value_template"),
    },
    "switch": {
        *("command_template", "device_class", "optimistic", "payload_off", "payload_on", "retain"),
        *("state_off", "state_on", "value_template"),
    },
    "select": {"command_template", "optimistic", "options", "retain", "value_template"},
    "number": {
        *("command_template", "device_class", "max", "min", "mode", "optimistic", "payload_reset", "retain", "step"),
        *("unit_of_measurement", "value_template"),
    },
    "button": {"command_template", "device_class", "payload_press", "retain"},
}
REQUIRED = {
    "sensor": {"state_topic"},
    "binary_sensor": {"state_topic"},
    "switch": {"command_topic"},
    "select": {"command_topic", "options"},
    "number": {"command_topic"},
    "button": {"command_topic"},
}
# The classes in use with their units, and those without a unit.
SENSOR_CLASSES: dict[str, set[str | None]] = {
    "duration": {"d", "h", "min", "s", "ms", "µs"},
    "temperature": {"°C", "°F", "K"},
    "enum": {None},
}
BINARY_SENSOR_CLASSES = {"occupancy", "presence", "problem", "motion", "connectivity", "running"}
STATE_CLASSES = {"measurement", "measurement_angle", "total", "total_increasing"}
TOPIC = re.compile(r"[^+#\x00]{1,65535}")
DISCOVERY_TOPIC = re.compile(r".+/device/(?:[a-zA-Z0-9_-]+/)?[a-zA-Z0-9_-]+/config")


def violations(topic: str, document: dict[str, Any]) -> list[str]:
    """What Home Assistant would refuse or complain of; empty when all is well."""
    return list(_of_document(topic, document))


def _of_document(topic: str, document: dict[str, Any]) -> Iterator[str]:
    if not DISCOVERY_TOPIC.fullmatch(topic):
        yield f"{topic} is no topic of device discovery"
    yield from _unknown("the document", document, TOP_KEYS)
    yield from (f"{key} is missing" for key in ("device", "origin", "components") if key not in document)
    device, origin = document["device"], document["origin"]
    yield from _unknown("device", device, DEVICE_KEYS)
    if not (device.get("identifiers") or device.get("connections")):
        yield "device has neither identifiers nor connections"
    yield from _unknown("origin", origin, ORIGIN_KEYS)
    if not origin.get("name"):
        yield "origin.name is missing"
    taken: set[tuple[str, str]] = set()
    for name, component in document["components"].items():
        yield from (f"{name}: {complaint}" for complaint in _of_component(component))
        identity = (component.get("platform", ""), component.get("unique_id", name))
        if identity in taken:
            yield f"{name}: unique_id {identity[1]} is taken"
        taken.add(identity)


def _of_component(component: dict[str, Any]) -> Iterator[str]:
    platform = component.get("platform")
    if platform not in PLATFORM_KEYS:
        yield f"platform {platform!r} is not known"
        return
    if component.keys() == {"platform"}:
        return  # told to be gone
    if not component.get("unique_id"):
        yield "unique_id is missing"
    yield from _unknown(platform, component, COMMON_KEYS | PLATFORM_KEYS[platform])
    yield from (f"{key} is missing" for key in REQUIRED[platform] if not component.get(key))
    for key, value in component.items():
        if key.endswith("_topic") and not TOPIC.fullmatch(value):
            yield f"{key} {value!r} is no topic to publish to"
        if key.endswith(("_template", "_id", "name")) and not isinstance(value, str):
            yield f"{key} is no text"
    if component.get("qos", 0) not in (0, 1, 2):
        yield "qos is none of 0, 1, 2"
    if not re.fullmatch(r"mdi:[a-z0-9-]+", component.get("icon", "mdi:x")):
        yield "icon is no mdi icon"
    if not re.fullmatch(rf"{platform}\.[a-z0-9]+(_[a-z0-9]+)*", component.get("default_entity_id", f"{platform}.x")):
        yield "default_entity_id is no entity id of its platform"
    categories = {"diagnostic"} if platform in ("sensor", "binary_sensor") else {"config", "diagnostic"}
    if component.get("entity_category", "diagnostic") not in categories:
        yield "entity_category is not allowed here"
    for key in ("expire_after", "suggested_display_precision"):
        if not (isinstance(component.get(key, 0), int) and component.get(key, 0) >= 0):
            yield f"{key} is no whole number from 0"
    if platform == "sensor":
        yield from _of_sensor(component)
    elif platform == "binary_sensor":
        if component.get("device_class", "problem") not in BINARY_SENSOR_CLASSES:
            yield "device_class is not known"
    elif platform == "select":
        if not all(isinstance(option, str) for option in component.get("options", [])):
            yield "options are not all text"
    elif platform == "number":
        if not component.get("min", 1) <= component.get("max", 100):
            yield "min is above max"
        if component.get("step", 1) < 0.001:
            yield "step is below 0.001"
        if component.get("mode", "auto") not in ("auto", "box", "slider"):
            yield "mode is not known"


def _of_sensor(component: dict[str, Any]) -> Iterator[str]:
    device_class, unit = component.get("device_class"), component.get("unit_of_measurement")
    if device_class is not None and device_class not in SENSOR_CLASSES:
        yield f"device_class {device_class} is not known"
    elif device_class is not None and unit not in SENSOR_CLASSES[device_class]:
        yield f"unit {unit} does not go with device_class {device_class}"
    if component.get("state_class", "measurement") not in STATE_CLASSES:
        yield "state_class is not known"
    options = component.get("options")
    if options is None:
        return
    if not options or len(set(options)) != len(options):
        yield "options are empty or doubled"
    if device_class != "enum":
        yield "options go with device_class enum only"
    if "state_class" in component or unit is not None:
        yield "options go with neither state_class nor a unit"


def _unknown(where: str, found: dict[str, Any], known: set[str]) -> Iterator[str]:
    yield from (f"{where} knows no {key}" for key in found if key not in known)
