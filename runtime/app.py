"""The composition root: builds the concrete parts from the settings, starts them in order, stops them in reverse."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import sdnotify

from emomusic_edge.config import Settings, read_password
from emomusic_edge.contracts import FaceDetector, InferenceEngine, Player, Publisher, ValenceArousal
from emomusic_edge.cuda_probe import probe_cuda
from emomusic_edge.deam_index.alignment import Alignment, AlignmentMethod
from emomusic_edge.deam_index.audio_files import playable_files
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.deam_index.loudness_file import song_gains_db
from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.engine_store import EngineStore
from emomusic_edge.errors import ConfigError, ModelError, SourceError
from emomusic_edge.manifest import Manifest, read_bundle
from emomusic_edge.paths import DataLayout

from .audio.player import MusicPlayer
from .calibration import read_calibration
from .camera import source_from
from .capture import FastFrames, FrameFeed, LatestFrameCapture
from .choice.feedback_memory import FeedbackMemory
from .choice.feedback_store import FeedbackStore
from .choice.rule import ChoiceRule
from .engines.choose import EngineMakers, choose_engine
from .engines.onnx_runtime import OrtEngine
from .engines.tensorrt import TensorRTEngine, import_tensorrt
from .faces.blazeface import BlazeFace
from .faces.confirm import ConfirmedFaces
from .faces.mediapipe_detector import MediaPipeDetector
from .faces.primary import PrimaryFace
from .fusion import FusionRule
from .loaded_models import Models
from .locate import MAKE_STARTERS, audio_roots, find_bundle, index_file, loudness_file
from .loop import Loop, Observer, Parts
from .matcher import Matcher
from .mqtt.broker import BrokerSettings
from .mqtt.publisher import MqttPublisher, NullPublisher
from .music import Music
from .predictors import AffectPredictor
from .stabilizer import Stabilizer, StabilizerRule
from .summary import RunSummary
from .targets import NO_SHIFT, Targets
from .timing import FrameTime, RealTime

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What one run is asked for beside the settings.

    Attributes:
        fast: read a file as fast as possible, time coming from its frames; muted.
        max_frames: stop after that many.
        stop: ends the run when it is set.
    """

    fast: bool = False
    max_frames: int | None = None
    stop: threading.Event | None = None


class App:
    """One run of the service: load, then run; what was started is stopped again, last first, whatever happens."""

    def __init__(self, settings: Settings, plan: RunPlan) -> None:
        """Load everything that can be wrong before anything starts.

        Raises:
            EmomusicError: a source, model, index or setting cannot work.
        """
        # OpenCV's own threads beside ONNX Runtime's slow both.
        cv2.setNumThreads(1)
        self._plan = plan
        self._settings = settings
        self.broke_off: SourceError | None = None
        self.source_name, self._feed = _feed(settings, plan)
        with contextlib.ExitStack() as loaded:
            self.models = _models(settings, loaded)
            self._player = _player(settings, muted=settings.player.muted or plan.fast)
            self._publisher = _publisher(settings)
            layout = DataLayout(settings.paths.data_dir)
            self.calibration = read_calibration(layout.calibration(settings.music.person))
            index = read_index(index_file(settings))
            feedback = FeedbackMemory(FeedbackStore(layout.likes, index.name))
            loaded.callback(feedback.close)
            shift = NO_SHIFT if self.calibration is None else self.calibration.shift
            music = music_of(settings, index, self._player, feedback=feedback, shift=shift)
            # What a model holds on the GPU is given back when a later one does not load, else at the end of the run.
            self._loaded = loaded.pop_all()
        self._summary = RunSummary()
        self._timebase = FrameTime() if plan.fast else RealTime()
        self._observers: list[Observer] = [self._summary.add]
        parts = Parts(
            feed=self._feed,
            timebase=self._timebase,
            detector=self.models.detector,
            primary=PrimaryFace(settings.faces.hysteresis),
            face_model=self.models.face,
            face_margin=self.models.face_manifest.image.face_margin,
            scene_model=self.models.scene,
            fusion=FusionRule(
                kind=settings.fusion.rule,
                variance_floor=settings.fusion.variance_floor,
                weights={"scene": settings.fusion.scene_weight, "face": settings.fusion.face_weight},
            ),
            stabilizer=stabilizer_of(settings),
            music=music,
            publisher=self._publisher,
            observers=self._observers,
        )
        self._loop = Loop(parts, frames_per_second=settings.loop.frames_per_second)

    @property
    def broker(self) -> str | None:
        """The MQTT broker's address and this node's name there; None when the smart home is switched off."""
        mqtt = self._settings.mqtt
        if not mqtt.enabled:
            return None
        where = str(mqtt.unix_socket) if mqtt.unix_socket is not None else f"{mqtt.host}:{mqtt.effective_port}"
        return f"{where}, as {mqtt.node}:"

    def observe(self, observer: Observer) -> None:
        """Have every snapshot told to `observer` too, from the next one on."""
        self._observers.append(observer)

    def run(self) -> dict[str, Any]:
        """Start the parts, go on until the frames end or a stop is asked for, stop the parts.

        Returns:
            The summary (see RunSummary.finish). A file that broke off is among its reasons and in `broke_off`.

        Raises:
            SourceError: the source does not open.
        """
        with contextlib.ExitStack() as started:
            started.callback(self._loaded.close)
            for part in (self._player, self._publisher, self._feed):
                started.callback(part.close)
                part.start()
            started_s = time.perf_counter()
            _tell_systemd("READY=1")
            try:
                self._loop.run(self._plan.stop or threading.Event(), max_frames=self._plan.max_frames)
            except SourceError as error:
                # What was seen until then is not lost: the caller writes it down, then tells the error.
                self.broke_off = error
            _tell_systemd("STOPPING=1")
            seconds = time.perf_counter() - started_s
        return self._summary.finish(seconds, self.models.providers, dropped=self._feed.dropped)


def _tell_systemd(state: str) -> None:
    """A word to the service manager; of no effect when there is none."""
    sdnotify.SystemdNotifier().notify(state)


def _feed(settings: Settings, plan: RunPlan) -> tuple[str, FrameFeed]:
    camera = settings.camera
    source = source_from(
        camera.source,
        width_px=camera.width_px,
        height_px=camera.height_px,
        frames_per_second=camera.frames_per_second,
        seconds_per_picture=camera.seconds_per_picture,
    )
    if source is None:
        raise SourceError(
            "No camera on this machine gives a picture.",
            mend="Plug one in, or name a video or a folder of pictures: emomusic-edge run --source clip.mp4",
        )
    if not plan.fast:
        return source.name, LatestFrameCapture(source, pace=not source.live, retry_s=camera.open_retry_s)
    if source.live:
        raise ConfigError(
            f"--fast reads a file as fast as it can; {source.name} is a camera.",
            mend="Leave --fast out, or name a file with --source.",
        )
    return source.name, FastFrames(source, settings.loop.frames_per_second)


def engine_makers(threads: int) -> EngineMakers:
    """How the engines of this machine are built; `threads` are those of one inference on the CPU, 0 for one a core."""
    return EngineMakers(
        probe=probe_cuda,
        import_tensorrt=import_tensorrt,
        tensorrt=lambda plan, name, trt: TensorRTEngine(plan, name=name, trt=trt),
        onnx_runtime=lambda model, name, providers: OrtEngine(model, name=name, threads=threads, providers=providers),
    )


def _engine(name_or_path: str, settings: Settings, loaded: contextlib.ExitStack) -> tuple[InferenceEngine, Manifest]:
    manifest, model = read_bundle(find_bundle(name_or_path, settings), mend=MAKE_STARTERS)
    chosen = choose_engine(
        model,
        manifest,
        engine_makers(settings.models.threads),
        wanted=settings.models.engine,
        samples=settings.models.samples,
        store=EngineStore(DataLayout(settings.paths.data_dir).engines),
    )
    loaded.callback(chosen.close)
    for reason in chosen.passed_over:
        _log.log(reason.level, "%s: %s", manifest.name, reason)
    return chosen.engine, manifest


def _affect_model(
    name_or_path: str, source: str, settings: Settings, loaded: contextlib.ExitStack
) -> tuple[AffectPredictor, Manifest]:
    engine, manifest = _engine(name_or_path, settings, loaded)
    if manifest.source != source:
        raise ModelError(
            f"Model bundle {manifest.name} is a {manifest.source or manifest.kind} model, a {source} model is needed.",
            mend=f"Name another one in the config: models.{source}",
        )
    models = settings.models
    predictor = AffectPredictor(engine, manifest, samples=models.samples, masks=models.masks, seed=models.mask_seed)
    return predictor, manifest


def _models(settings: Settings, loaded: contextlib.ExitStack) -> Models:
    scene, scene_manifest = _affect_model(settings.models.scene, "scene", settings, loaded)
    face, face_manifest = _affect_model(settings.models.face, "face", settings, loaded)
    detector: FaceDetector
    if settings.models.detector == "mediapipe":
        detector, runs_on = MediaPipeDetector(min_score=settings.faces.min_score), "mediapipe"
    else:
        engine, manifest = _engine(settings.models.detector, settings, loaded)
        detector, runs_on = BlazeFace(engine, manifest, min_score=settings.faces.min_score), engine.provider
    detector = ConfirmedFaces(detector, start_score=settings.faces.start_score)
    providers = {"detector": runs_on, "face": face.provider, "scene": scene.provider}
    return Models(detector, face, face_manifest, scene, scene_manifest, providers)


def choice_rule(settings: Settings) -> ChoiceRule:
    """The rule of the choice as set."""
    music = settings.music
    return ChoiceRule(
        radius=music.affect_radius,
        margin=music.switch_margin,
        recent=music.recent_songs,
        spacing=music.spacing_songs,
        dwell_s=music.dwell_s,
        fade_s=settings.player.crossfade_s,
    )


def music_of(
    settings: Settings,
    index: MusicIndex,
    player: Player,
    *,
    feedback: FeedbackMemory | None = None,
    shift: ValenceArousal = NO_SHIFT,
    without_audio: bool = False,
) -> Music:
    """The music side, for a player.

    Args:
        settings: mode and rule, and where the audio is.
        index: the songs.
        player: told what to play.
        feedback: what likes taught; None begins with nothing and keeps nothing.
        shift: a person's calibration.
        without_audio: takes every song as playable, whether its file is there or not; for a player without a device.

    Raises:
        IndexFileError: none of the songs has its audio.
    """
    roots = audio_roots(settings)
    mode, music = settings.mode, settings.music
    matcher = Matcher(
        index,
        roots,
        np.ones(index.song_count, np.bool_) if without_audio else playable_files(index, roots),
        choice_rule(settings),
        seed=music.seed,
        gains_db=None if without_audio else song_gains_db(index, loudness_file(settings)),
    )
    targets = Targets(
        Alignment(index, AlignmentMethod(music.alignment)),
        mode=mode.mode,
        mood=ValenceArousal(mode.manual_valence, mode.manual_arousal),
        guide_goal=ValenceArousal(mode.goal_valence, mode.goal_arousal),
        guide_steps=mode.guide_steps,
        nearest_music=matcher.nearest_music,
        shift=shift,
    )
    return Music(targets, matcher, player, feedback)


def stabilizer_of(settings: Settings) -> Stabilizer:
    """The stabilizer as set."""
    stabilizer = settings.stabilizer
    return Stabilizer(
        StabilizerRule(
            kind=stabilizer.rule,
            time_constant_s=stabilizer.time_constant_s,
            alpha=stabilizer.alpha,
            gate=(stabilizer.gate_valence, stabilizer.gate_arousal),
            stale_after_s=stabilizer.stale_after_s,
        )
    )


def _player(settings: Settings, *, muted: bool) -> Player:
    output = None
    if not muted:
        # pygame is a fifth of the start-up time and of no use without sound.
        from .audio.mixer import StreamMixer
        from .audio.sdl import SdlSink

        output = StreamMixer(SdlSink())
    return MusicPlayer(
        output,
        crossfade_s=settings.player.crossfade_s,
        volume=settings.player.volume,
        retry_s=settings.player.device_retry_s,
    )


def _publisher(settings: Settings) -> Publisher:
    mqtt = settings.mqtt
    if not mqtt.enabled:
        return NullPublisher()
    return MqttPublisher(
        BrokerSettings(
            host=mqtt.host,
            port=mqtt.effective_port,
            node=mqtt.node,
            username=mqtt.username or "",
            password=read_password(mqtt),
            tls=mqtt.encrypted,
            ca_file=mqtt.ca_file,
            allow_plaintext=mqtt.allow_plaintext,
            min_interval_s=mqtt.min_interval_s,
            unix_socket=mqtt.unix_socket,
        )
    )
