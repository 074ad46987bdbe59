"""What the doctor looks at, in order: from the ground up, so that the first trouble told is the one to mend first."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from emomusic_edge.installation.places import AS_SERVICE

from .finding import About, Finding
from .packages import install_line
from .setup import Setup
from .system import user_name

_HERE = __name__.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing to look at.

    Attributes:
        name: what `--only` calls it.
        title: what people read.
        module: the module beside this one whose function `look` looks at it; imported when its turn comes.
        timeout_s: how long a look may take. Each is several times what it waits for at most.
        apart: whether it runs in a process of its own, because the libraries it asks may end theirs.
    """

    name: str
    title: str
    module: str
    timeout_s: float = 15.0
    apart: bool = False

    def look(self, setup: Setup) -> Iterator[Finding]:
        """Look at it, here and now. A file that this user may not see is a finding, and so is a missing package."""
        try:
            yield from importlib.import_module(f"{_HERE}.{self.module}").look(setup)
        except ModuleNotFoundError as cause:
            if cause.name is None or cause.name.partition(".")[0] == "emomusic_edge":
                raise
            yield About(self.name).problem(
                "package",
                f"not looked at, for the package {cause.name} is missing",
                meaning="A run needs it as well.",
                mend=install_line(),
            )
        except PermissionError as cause:
            yield About(self.name).problem(
                "permission",
                f"{cause.filename or 'a file'} is closed to the user {user_name(os.geteuid())}",
                meaning="A run of this user meets the same; of another one, such as the service's, perhaps not.",
                mend=f"Look as the user that runs it, for the service: {AS_SERVICE} doctor",
            )


SUBJECTS: tuple[Subject, ...] = (
    Subject("config", "Settings", "config"),
    Subject("files", "Who may read what", "permissions"),
    Subject("python", "Python and packages", "packages"),
    Subject("onnxruntime", "ONNX Runtime", "onnx_runtime", timeout_s=60.0, apart=True),
    Subject("gpu", "GPU and board", "gpu", timeout_s=60.0, apart=True),
    Subject("memory", "Memory", "memory"),
    Subject("disk", "Disk", "disk"),
    Subject("clock", "Clock", "clock"),
    Subject("instance", "Other runs", "instances"),
    Subject("camera", "Camera", "camera", timeout_s=60.0, apart=True),
    Subject("audio", "Sound", "audio", timeout_s=30.0, apart=True),
    # A first TensorRT run loads its kernels from an SD card: 80 s for each of three models before it is given up.
    Subject("models", "Models", "models", timeout_s=300.0, apart=True),
    Subject("music", "Music", "music", timeout_s=60.0),
    Subject("broker", "Smart home", "broker", timeout_s=60.0),
    Subject("filter", "Network filter of the service", "address_filter"),
)
"""All of them."""


def subject_named(name: str) -> Subject | None:
    """One of them, by name; None where there is none of that name."""
    return next((subject for subject in SUBJECTS if subject.name == name), None)
