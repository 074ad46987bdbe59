"""One run of the service: its parts built, wired into the loop, started in order, stopped in reverse."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from emomusic_edge import __version__
from emomusic_edge.config import Settings
from emomusic_edge.config.privacy import NOTICE_OFF
from emomusic_edge.contracts import FaceDetector, Player, StateSnapshot
from emomusic_edge.errors import EmomusicError, SourceError, TwinError
from emomusic_edge.manifest import MODEL_NAME, Manifest
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.calibration import AppliedCalibration
from emomusic_edge.runtime.capture import FrameFeed
from emomusic_edge.runtime.faces.primary import PrimaryFace
from emomusic_edge.runtime.freed_memory import give_back_freed_memory
from emomusic_edge.runtime.groups.companion import Companion
from emomusic_edge.runtime.instance_lock import only_run
from emomusic_edge.runtime.loaded_models import Models
from emomusic_edge.runtime.locate import find_bundle
from emomusic_edge.runtime.loop import Loop
from emomusic_edge.runtime.loop_parts import Observer, Parts
from emomusic_edge.runtime.memory_growth import MemoryGrowth, own_memory_mb
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.messages import DeviceFacts
from emomusic_edge.runtime.music import Music
from emomusic_edge.runtime.predictors import AffectPredictor
from emomusic_edge.runtime.privacy.history import History
from emomusic_edge.runtime.privacy.no_core import dump_no_core
from emomusic_edge.runtime.privacy.notice import NOTICE
from emomusic_edge.runtime.privacy.paused_state import KeptWishes
from emomusic_edge.runtime.scheduling import FramePacer, Limits, RateBudget, ScenePace
from emomusic_edge.runtime.scheduling.machine_load import MachineLoad
from emomusic_edge.runtime.scheduling.scene_pace import MAX_AGE_S, WORTHWHILE_MODEL_BYTES
from emomusic_edge.runtime.service_manager import ServiceManager
from emomusic_edge.runtime.summary import RunSummary
from emomusic_edge.runtime.timing import FrameTime, RealTime
from emomusic_edge.runtime.watchdog import Part, Watchdog

from .frames import feed_of
from .models import ModelsInUse, affect_model, face_detector
from .smart_home import group_of, publisher_of
from .sound import personal_music, player_of
from .steadying import fusion_rule, stabilizer_of

_log = logging.getLogger(__name__)

# Past these a part hangs. A large song on a slow card takes seconds to open; name servers that are away, a minute.
CAMERA_LIMIT_S, SOUND_LIMIT_S, SMART_HOME_LIMIT_S = 20.0, 45.0, 120.0


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What one run is asked for beside the settings.

    Attributes:
        fast: read a file as fast as possible, time coming from its frames; muted.
        max_frames: stop after that many.
        stop: ends the run when it is set.
        loop: read a file over and over.
        waits: wait for a camera, or a folder of music, that is not here yet, as a service does.
    """

    fast: bool = False
    max_frames: int | None = None
    stop: threading.Event | None = None
    loop: bool = False
    waits: bool = False


class App:
    """One run of the service: load, then run; what was started is stopped again, last first, whatever happens."""

    def __init__(self, settings: Settings, plan: RunPlan) -> None:
        """Load everything that can be wrong before anything starts.

        Raises:
            TwinError: another run has this data folder.
            EmomusicError: a source, model, index or setting cannot work.
        """
        # OpenCV's own threads beside ONNX Runtime's slow both.
        cv2.setNumThreads(1)
        self._plan = plan
        self._settings = settings
        self.broke_off: EmomusicError | None = None
        self._stop = plan.stop or threading.Event()
        dump_no_core()
        # CUDA reads it with its first call, and would otherwise fill a hidden folder of the user's.
        os.environ.setdefault("CUDA_CACHE_PATH", str(settings.paths.cache_dir / "cuda"))
        layout = DataLayout(settings.paths.data_dir)
        self._manager = ServiceManager()
        with contextlib.ExitStack() as loaded, contextlib.ExitStack() as unstarted, self._manager.loading():
            if _takes_what_is_there_once(settings, plan):
                loaded.enter_context(only_run(layout.run_lock))
            wishes = KeptWishes(layout.camera_wishes)
            self.source_name, self._feed, self._is_camera = feed_of(
                settings, unstarted, fast=plan.fast, loop=plan.loop, waits=plan.waits, closed=not wishes.now.open
            )
            self._player = player_of(settings, muted=settings.player.muted or plan.fast, announces=self._is_camera)
            # A broker that cannot work is told before the models are loaded.
            if settings.mqtt.enabled:
                BrokerSettings.of(settings.mqtt)
            # A file that is read fast is in step with nobody.
            group = None if plan.fast else group_of(settings)
            self.models, (music, self.calibration) = _models_and_music(
                settings, self._player, loaded, group, waits=plan.waits
            )
            self.to_felt = music.to_felt
            self._publisher = publisher_of(settings, self._facts(), self._twin_found, group)
            give_back_freed_memory()
            self._summary = RunSummary()
            self._timebase = FrameTime() if plan.fast else RealTime()
            self._observers: list[Observer] = [self._summary.add]
            # Of a file there is no history.
            history = History(layout.history, kept_h=settings.privacy.history_h) if self._is_camera else None
            if history is not None:
                loaded.callback(history.close)
                self._observers.append(history.observe)
            parts = Parts(
                feed=self._feed,
                timebase=self._timebase,
                detector=self.models.detector,
                primary=PrimaryFace(settings.faces.hysteresis),
                face_model=self.models.face,
                face_margin=self.models.face_manifest.image.face_margin,
                scene_model=self.models.scene,
                fusion=fusion_rule(settings),
                stabilizer=stabilizer_of(settings),
                music=music,
                publisher=self._publisher,
                observers=self._observers,
                scene_pace=ScenePace(max_age_s=_scene_max_age_s(settings)),
                pacer=_pacer(settings, plan, self._feed),
                # A file is nobody's eye: it plays whatever was paused.
                wishes=wishes if self._is_camera else KeptWishes(),
                on_forget=(lambda: None) if history is None else history.forget,
                memory=MemoryGrowth(own_memory_mb).reason,
                lost_gpu=self.models.lost,
            )
            self._watchdog = Watchdog(
                self._manager,
                {
                    "camera": Part(lambda: self._feed.silent_s, CAMERA_LIMIT_S),
                    "sound": Part(lambda: self._player.silent_s, SOUND_LIMIT_S),
                    "smart home": Part(lambda: self._publisher.silent_s, SMART_HOME_LIMIT_S),
                },
            )
            self._observers.append(self._moved)
            self._loop = Loop(parts, frames_per_second=settings.loop.frames_per_second)
            # What a model holds on the GPU is given back when a later part does not work, else at the end of the run.
            self._loaded, self._unstarted = loaded.pop_all(), unstarted.pop_all()

    @property
    def notice(self) -> str:
        """What people in the room are told at the start; empty without a camera, and where it is switched off."""
        return NOTICE if self._is_camera and self._settings.privacy.notice != NOTICE_OFF else ""

    @property
    def broker(self) -> str | None:
        """The MQTT broker's address and this node's name there; None when the smart home is switched off."""
        mqtt = self._settings.mqtt
        if not mqtt.enabled:
            return None
        where = str(mqtt.unix_socket) if mqtt.unix_socket is not None else f"{mqtt.host}:{mqtt.effective_port}"
        return f"{where}, as {mqtt.node}:"

    def _moved(self, snapshot: StateSnapshot) -> None:
        """The loop has made a step: the other parts are asked whether they move too."""
        status = f"{snapshot.frames_per_second:.1f} frames a second"
        for part, reason in snapshot.reasons.items():
            # Why a command was refused names what was sent: perhaps a mood.
            if part != "command":
                status += f"; {part}: {reason}"
        self._watchdog.step(time.monotonic(), status)

    def _facts(self) -> DeviceFacts:
        models = self.models
        names = {
            "scene": models.scene_manifest.name,
            "face": models.face_manifest.name,
            "detector": self._settings.models.detector,
        }
        return DeviceFacts(__version__, self.source_name, ModelsInUse(names, models.now_on))

    def _twin_found(self, reason: str) -> None:
        """On the network thread."""
        node = self._settings.mqtt.node
        self.broke_off = TwinError(
            f"Stopped: {reason}.", mend=f"Give this one a name of its own: mqtt.node, now {node!r}; or stop the other."
        )
        self._stop.set()

    def observe(self, observer: Observer) -> None:
        """Have every snapshot told to `observer` too, from the next one on."""
        self._observers.append(observer)

    def run(self) -> dict[str, Any]:
        """Start the parts, go on until the frames end or a stop is asked for, stop the parts.

        Returns:
            The summary (see RunSummary.finish). What ended the run before its time (a file that broke off, a device
            of the same name) is in `broke_off`.

        Raises:
            SourceError: the source does not open.
        """
        if self.notice:
            _log.info("%s", self.notice)
        with contextlib.ExitStack() as started:
            started.callback(self._loaded.close)
            started.callback(self._unstarted.close)
            for part in (self._player, self._publisher, self._feed):
                if self._stop.is_set():
                    # While it loaded: no sound and no word then.
                    break
                if part is self._feed:
                    # From here on its own thread alone opens and closes it.
                    self._unstarted.pop_all()
                started.callback(part.close)
                part.start()
            started_s = time.perf_counter()
            self._manager.ready()
            try:
                self._loop.run(self._stop, max_frames=self._plan.max_frames)
            except SourceError as error:
                # What was seen until then is not lost: the caller writes it down, then tells the error.
                self.broke_off = error
            self._manager.stopping()
            seconds = time.perf_counter() - started_s
        return self._summary.finish(seconds, self.models.now_on(), dropped=self._feed.dropped)


def _models_and_music(
    settings: Settings,
    player: Player,
    loaded: contextlib.ExitStack,
    companion: Companion | None,
    *,
    waits: bool,
) -> tuple[Models, tuple[Music, AppliedCalibration]]:
    """Load them side by side: while one is read, another is parsed, and the matcher's libraries are imported."""
    with ThreadPoolExecutor(thread_name_prefix="load") as pool:
        scene = pool.submit(affect_model, settings.models.scene, "scene", settings, loaded)
        face = pool.submit(affect_model, settings.models.face, "face", settings, loaded)
        detector = pool.submit(face_detector, settings, loaded)
        music = pool.submit(personal_music, settings, player, loaded, companion, waits=waits)
        # In this order, so that of several faults always the same one is told.
        models = _models(scene.result(), face.result(), detector.result())
        return models, music.result()


def _models(
    scene: tuple[AffectPredictor, Manifest],
    face: tuple[AffectPredictor, Manifest],
    detector: tuple[FaceDetector, Callable[[], str]],
) -> Models:
    providers = {"detector": detector[1](), "face": face[0].provider, "scene": scene[0].provider}
    return Models(detector[0], face[0], face[1], scene[0], scene[1], providers, detector[1])


def _takes_what_is_there_once(settings: Settings, plan: RunPlan) -> bool:
    """Whether a run takes the camera, the speaker or the name in the smart home; a silent one of a file takes none."""
    if plan.fast:
        return False
    source = Path(settings.camera.source).expanduser()
    return settings.mqtt.enabled or not settings.player.muted or not (source.is_file() or source.is_dir())


def _scene_max_age_s(settings: Settings) -> float:
    if settings.loop.scene_max_age_s is not None:
        return settings.loop.scene_max_age_s
    model = find_bundle(settings.models.scene, settings) / MODEL_NAME
    return MAX_AGE_S if model.stat().st_size >= WORTHWHILE_MODEL_BYTES else 0.0


def _pacer(settings: Settings, plan: RunPlan, feed: FrameFeed) -> FramePacer:
    loop = settings.loop
    limits = Limits(loop.frames_per_second, loop.max_cpu_percent, loop.max_temperature_c)
    # As fast as possible is what was asked for: no budget then.
    machine = None if plan.fast else MachineLoad(helper_cpu_s=lambda: feed.helper_cpu_s)
    return FramePacer(RateBudget(limits), machine)
