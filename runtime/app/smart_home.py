"""Builds whom the state is told to: the broker, Home Assistant and the node's group over one line, or nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from emomusic_edge.config import Settings
from emomusic_edge.contracts import Publisher
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.home_assistant.discovery import HomeAssistantDiscovery
from emomusic_edge.runtime.home_assistant.machine_marks import machine_marks
from emomusic_edge.runtime.home_assistant.remembered import RememberedFile
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.extension import Extension
from emomusic_edge.runtime.mqtt.messages import DeviceFacts
from emomusic_edge.runtime.mqtt.null_publisher import NullPublisher
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher

if TYPE_CHECKING:
    from emomusic_edge.runtime.groups.group import Group


def group_of(settings: Settings) -> Group | None:
    """The group that this node plays along with; None without one, or without a broker to meet it on."""
    if settings.group.name is None or not settings.mqtt.enabled:
        return None
    # Most nodes are in none.
    from emomusic_edge.runtime.groups.group import Group
    from emomusic_edge.runtime.groups.messages import GroupSettings

    return Group(GroupSettings(settings.group.name, settings.group.play), settings.mqtt.node)


def publisher_of(
    settings: Settings, facts: DeviceFacts, on_twin: Callable[[str], None], group: Group | None
) -> Publisher:
    """To the MQTT broker, or to nobody where the smart home is switched off.

    Args:
        settings: where the broker is.
        facts: of the device, for `health`; what of them concerns the line is filled in here.
        on_twin: called with the reason when a device of this node's name runs longer.
        group: speaks over the same line; None without one.
    """
    if not settings.mqtt.enabled:
        return NullPublisher()
    broker = BrokerSettings.of(settings.mqtt)
    known = replace(
        facts,
        protocol=broker.protocol,
        encrypted=broker.encrypted,
        allow_plaintext=broker.allow_plaintext,
        plaintext_leaves=not (broker.encrypted or broker.stays_here),
    )
    home_assistant = HomeAssistantDiscovery(
        broker,
        version=facts.version,
        file=RememberedFile(DataLayout(settings.paths.data_dir).home_assistant, marks=machine_marks()),
        prefix=settings.mqtt.discovery_prefix,
        announces=settings.mqtt.home_assistant,
    )
    extensions: list[Extension] = [home_assistant]
    if group is not None:
        extensions.append(group)
    return MqttPublisher(broker, known, extensions=extensions, on_twin=on_twin)
