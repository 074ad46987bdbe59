"""What stays true of a device for the whole of its run, for `health`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class ModelFact:
    """One model in use.

    Attributes:
        name: what people call the bundle.
        provider: what runs it, as it truly turned out: `CPUExecutionProvider`, `TensorrtExecutionProvider` …
    """

    name: str
    provider: str


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """The device and its line to the broker.

    Attributes:
        version: of this program.
        camera: where the pictures come from, without any password.
        models: by part: `scene`, `face`, `detector`.
        protocol: the MQTT version that is spoken.
        encrypted: whether the line is TLS.
        allow_plaintext: whether the owner allows an unencrypted line to another machine.
        plaintext_leaves: whether an unencrypted line does leave this machine.
    """

    version: str
    camera: str
    models: Mapping[str, ModelFact] = field(default_factory=dict)
    protocol: Literal["5", "3.1.1"] = "5"
    encrypted: bool = False
    allow_plaintext: bool = False
    plaintext_leaves: bool = False
