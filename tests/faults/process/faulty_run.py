"""`emomusic-edge run` itself, in a process of its own, with faults that are put in at its edges when they are ordered.

    python faulty_run.py DEVICE ORDERS [hang=EDGE] [limit_s=S] [thermal=FOLDER] [settles_s=S] ARGUMENTS OF RUN …

The camera is the real class on a device of files (see file_camera.py), everything else is the program as it is. It
begins with an edge that hangs already, calls camera and sound hanging after so many seconds, takes the temperature
from a folder, or looks at its memory every tenth of a second once so many seconds are over, where that is asked for.
Each line that comes over ORDERS, a FIFO, is a JSON order:

    {"hang": "sound"}        the next call into this edge does not come back: sound, camera, name server, model, loading
    {"go_on": "sound"}       it does now
    {"raise": "mixer"}       an error that nobody foresaw, in the thread of this name
    {"slow_s": 0.4}          so long each look of the scene model takes more
    {"leak_mb": 150}         so much more memory is held, and never given back
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

GATES: dict[str, threading.Event] = defaultdict(threading.Event)
SLOW = {"s": 0.0}
LEAKED: list[bytes] = []
SMART_HOME_LIMIT_S = 10.0
"""An idle line gives a sign only every few seconds."""
EDGES = ("sound", "camera", "name server", "model", "loading")


class UnforeseenError(Exception):
    """Nobody foresaw it."""


def gated(edge: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def through(*args: Any, **kwargs: Any) -> Any:
        GATES[edge].wait()
        return call(*args, **kwargs)

    return through


def obey(orders: Path) -> None:
    # For writing too: so it does not end when one who orders lets go.
    with os.fdopen(os.open(orders, os.O_RDWR), encoding="utf-8") as lines:
        for line in lines:
            order = json.loads(line)
            if "hang" in order:
                GATES[order["hang"]].clear()
            elif "go_on" in order:
                GATES[order["go_on"]].set()
            elif "leak_mb" in order:
                LEAKED.append(b"x" * int(1e6 * order["leak_mb"]))
            elif "slow_s" in order:
                SLOW["s"] = order["slow_s"]
            elif "raise" in order:
                for thread in threading.enumerate():
                    if thread.name.startswith(order["raise"]):
                        ident = ctypes.c_ulong(thread.ident or 0)
                        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(UnforeseenError))


def main(device: str, orders: str, line: list[str]) -> None:
    for edge in EDGES:
        GATES[edge].set()
    if line[0].startswith("hang="):
        GATES[line.pop(0).partition("=")[2]].clear()
    limit_s = float(line.pop(0).partition("=")[2]) if line[0].startswith("limit_s=") else None
    thermal = Path(line.pop(0).partition("=")[2]) if line[0].startswith("thermal=") else None
    settles_s = float(line.pop(0).partition("=")[2]) if line[0].startswith("settles_s=") else None
    threading.Thread(target=obey, args=(Path(orders),), name="orders", daemon=True).start()

    import socket

    import emomusic_edge.runtime.app.frames as frames
    import emomusic_edge.runtime.app.service as service
    import emomusic_edge.runtime.memory_growth as memory_growth
    from emomusic_edge.runtime.audio.sdl import SdlSink
    from emomusic_edge.runtime.camera.child_camera import ChildCamera
    from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
    from emomusic_edge.runtime.scheduling.machine_load import MachineLoad

    def files_camera(*_: object, **__: object) -> ChildCamera:
        return ChildCamera(
            "emomusic_edge.runtime.camera.usb:UsbCamera", {"device": device}, name=device, device=Path(device)
        )

    def slowly(call: Callable[..., Any]) -> Callable[..., Any]:
        def through(*args: Any, **kwargs: Any) -> Any:
            time.sleep(SLOW["s"])
            return call(*args, **kwargs)

        return through

    frames.source_from = files_camera
    SdlSink.write = gated("sound", SdlSink.write)  # type: ignore[method-assign]
    ChildCamera.read = gated("camera", ChildCamera.read)  # type: ignore[method-assign]
    OrtEngine.run = slowly(gated("model", OrtEngine.run))  # type: ignore[method-assign]
    OrtEngine.__init__ = gated("loading", OrtEngine.__init__)  # type: ignore[method-assign]
    socket.getaddrinfo = gated("name server", socket.getaddrinfo)
    if limit_s is not None:
        service.CAMERA_LIMIT_S = service.SOUND_LIMIT_S = limit_s
        service.SMART_HOME_LIMIT_S = SMART_HOME_LIMIT_S
    if thermal is not None:
        MachineLoad.__init__.__defaults__ = (thermal,)

    if settles_s is not None:
        memory_growth.Patience.__init__.__defaults__ = (0.1, settles_s, 10, 100.0)

    from emomusic_edge.cli import main as command_line

    command_line(["run", *line])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
