"""Builds what the service meets the outside with: where frames come from, and whom the state is told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from emomusic_edge.config import MqttSettings, Settings, password_file, read_password
from emomusic_edge.contracts import Publisher
from emomusic_edge.errors import ConfigError, SourceError
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.camera import source_from
from emomusic_edge.runtime.camera.looped import LoopedSource
from emomusic_edge.runtime.capture import FastFrames, FrameFeed, LatestFrameCapture, PictureWatch
from emomusic_edge.runtime.groups.group import Group
from emomusic_edge.runtime.groups.messages import GroupSettings
from emomusic_edge.runtime.home_assistant.discovery import HomeAssistantDiscovery
from emomusic_edge.runtime.home_assistant.remembered import RememberedFile
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.extension import Extension
from emomusic_edge.runtime.mqtt.messages import DeviceFacts
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher, NullPublisher


def feed_of(
    settings: Settings, *, fast: bool, loop: bool, waits: bool = False, closed: bool = False
) -> tuple[str, FrameFeed, bool]:
    """The name of the source, the feed of its frames, and whether it is a camera.

    Args:
        settings: which source.
        fast: a file as fast as possible.
        loop: a file over and over.
        waits: whether a camera that is not here yet is waited for, instead of an error.
        closed: whether a camera is to stay closed: none is then opened to see whether it works.

    Raises:
        SourceError: there is no camera.
        ConfigError: a camera was to be read fast.
    """
    camera = settings.camera
    source = source_from(
        camera.source,
        width_px=camera.width_px,
        height_px=camera.height_px,
        frames_per_second=camera.frames_per_second,
        seconds_per_picture=camera.seconds_per_picture,
        wait=closed or (waits and not fast),
    )
    if source is None:
        raise SourceError(
            "No camera on this machine gives a picture.",
            mend="Plug one in, or name a video or a folder of pictures: emomusic-edge run --source clip.mp4",
        )
    if loop:
        source = LoopedSource(source, frame_s=1.0 / camera.frames_per_second)
    if not fast:
        feed = LatestFrameCapture(
            source, pace=not source.live, retry_s=camera.open_retry_s, watch=PictureWatch() if source.live else None
        )
        return source.name, feed, source.live
    if source.live:
        raise ConfigError(
            f"--fast reads a file as fast as it can; {source.name} is a camera.",
            mend="Leave --fast out, or name a file with --source.",
        )
    return source.name, FastFrames(source, settings.loop.frames_per_second), False


def group_of(settings: Settings) -> Group | None:
    """The group that this node plays along with; None without one, or without a broker to meet it on."""
    if settings.group.name is None or not settings.mqtt.enabled:
        return None
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
    broker = broker_settings(settings.mqtt)
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
        file=RememberedFile(DataLayout(settings.paths.data_dir).home_assistant),
        prefix=settings.mqtt.discovery_prefix,
        announces=settings.mqtt.home_assistant,
    )
    extensions: list[Extension] = [home_assistant]
    if group is not None:
        extensions.append(group)
    return MqttPublisher(broker, known, extensions=extensions, on_twin=on_twin)


def broker_settings(mqtt: MqttSettings) -> BrokerSettings:
    """Where the broker is and how to talk to it, as set.

    Raises:
        BrokerError: it cannot work, or would leak.
    """
    return BrokerSettings(
        host=mqtt.host,
        port=mqtt.effective_port,
        node=mqtt.node,
        username=mqtt.username or "",
        password=read_password(mqtt),
        password_file=password_file(mqtt),
        protocol=mqtt.protocol,
        tls=mqtt.encrypted,
        ca_file=mqtt.ca_file,
        client_cert_file=mqtt.client_cert_file,
        client_key_file=mqtt.client_key_file,
        alpn=mqtt.alpn or "",
        allow_plaintext=mqtt.allow_plaintext,
        min_interval_s=mqtt.min_interval_s,
        unix_socket=mqtt.unix_socket,
    )
