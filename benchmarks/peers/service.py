"""The service itself in real time, publishing to a broker: the work beside the models, the age of what is told.

Not a worker: it takes its settings as JSON on the command line and prints one JSON object at the end.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from emomusic_edge.config import Settings
from emomusic_edge.contracts import Frame, StateSnapshot
from emomusic_edge.runtime import perception
from emomusic_edge.runtime.app import App, RunPlan
from emomusic_edge.runtime.bench.pipeline import MODEL_STAGES
from emomusic_edge.runtime.capture import LatestFrameCapture
from emomusic_edge.runtime.loop import Loop

NEVER_IMPORTED = ("torch", "pandas", "matplotlib", "mediapipe", "onnx")
# The first frames find cold caches and a broker that is not connected yet.
_WARM_UP_FRAMES = 10


class Watch:
    """Adds up what passes between the stages that the service times itself."""

    def __init__(self) -> None:
        self.step_ms: list[float] = []
        self.neither_ms: list[float] = []
        self.age_ms: list[float] = []
        self.frames_ready = 0
        self._hand_over_ms = 0.0
        self._crop_ms = 0.0
        self._models_ms = 0.0

    def hand_over(self, took_ms: float, *, ready: bool) -> None:
        """A frame was taken from the buffer; it lay ready there, or the loop had waited for the camera."""
        self._hand_over_ms = took_ms if ready else 0.0
        self.frames_ready += ready

    def crop(self, took_ms: float) -> None:
        """A face was cut out; the stage of its model holds that too."""
        self._crop_ms = took_ms

    def told(self, snapshot: StateSnapshot) -> None:
        """A snapshot has gone to the publisher, which is told before any observer."""
        if snapshot.new_frame:
            self.age_ms.append(1e3 * (time.monotonic() - snapshot.t_s))
            self._models_ms = sum(snapshot.stage_ms.get(stage, 0.0) for stage in MODEL_STAGES)

    def step(self, took_ms: float) -> None:
        """A step is over, publishing included."""
        self.step_ms.append(self._hand_over_ms + took_ms)
        self.neither_ms.append(self._hand_over_ms + took_ms - self._models_ms + self._crop_ms)
        self._hand_over_ms = self._crop_ms = 0.0


def timed(call: Callable[..., Any], tell: Callable[[float], None]) -> Callable[..., Any]:
    """The same call, its milliseconds told each time it returns something."""

    def run(*arguments: Any, **named: Any) -> Any:
        started_s = time.perf_counter()
        result = call(*arguments, **named)
        if result is not None:
            tell(1e3 * (time.perf_counter() - started_s))
        return result

    return run


def timed_hand_over(
    take: Callable[[LatestFrameCapture, float], Frame | None],
    tell: Callable[..., None],
    clock: Callable[[], float] = time.perf_counter,
) -> Callable[[LatestFrameCapture, float], Frame | None]:
    """As `timed`, and told whether the slot was full when the loop asked."""

    def run(capture: LatestFrameCapture, timeout_s: float) -> Frame | None:
        ready = capture._slot is not None
        started_s = clock()
        frame = take(capture, timeout_s)
        took_ms = 1e3 * (clock() - started_s)
        if frame is not None:
            tell(took_ms, ready=ready)
        return frame

    return run


def main(settings: Settings, seconds: float) -> dict[str, Any]:
    """Run for so long; the answer is what Watch holds."""
    watch = Watch()
    perception.crop_face = timed(perception.crop_face, watch.crop)
    LatestFrameCapture.next = timed_hand_over(  # type: ignore[method-assign]
        LatestFrameCapture.next, watch.hand_over
    )
    Loop.step = timed(Loop.step, watch.step)  # type: ignore[method-assign]
    stop = threading.Event()
    app = App(settings, RunPlan(stop=stop, loop=True))
    app.observe(watch.told)
    timer = threading.Timer(seconds, stop.set)
    timer.start()
    try:
        summary = app.run()
    finally:
        timer.cancel()
    return {
        "frames": len(watch.step_ms),
        "step_ms": watch.step_ms[_WARM_UP_FRAMES:],
        "neither_ms": watch.neither_ms[_WARM_UP_FRAMES:],
        "age_ms": watch.age_ms[_WARM_UP_FRAMES:],
        "frames_ready": watch.frames_ready,
        "providers": summary["providers"],
        "imported": [name for name in NEVER_IMPORTED if name in sys.modules],
    }


if __name__ == "__main__":
    print(json.dumps(main(Settings.model_validate(json.loads(sys.argv[1])), float(sys.argv[2]))))
