"""Every setting: its type, default, bounds and one line of meaning."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from emomusic_edge.affect import DEFAULT_GATE, FINDINGEMO
from emomusic_edge.config.fields import About, CameraName, FilePath, NameOrPath, PersonName, Section
from emomusic_edge.config.group import GroupSettings
from emomusic_edge.config.mqtt import MqttSettings
from emomusic_edge.config.privacy import PrivacySettings
from emomusic_edge.config.trust import TrustSettings
from emomusic_edge.contracts import Mode
from emomusic_edge.paths import default_cache_dir, default_data_dir

_DEAM = "DEAM units"
_FINDINGEMO = "FindingEmo units"
_VARIANCE = "FindingEmo units squared"


class CameraSettings(Section):
    """The camera."""

    source: Annotated[
        CameraName,
        Field(description="`auto` (the first camera that opens), an index, a path, or a name under /dev/v4l/by-id."),
        About(form="auto, an index, a path or a camera's name"),
    ] = "auto"
    width_px: Annotated[int, Field(ge=64, le=7680, description="The width to ask the camera for.")] = 640
    height_px: Annotated[int, Field(ge=64, le=4320, description="The height to ask the camera for.")] = 480
    frames_per_second: Annotated[
        float, Field(ge=1, le=240, description="The rate to ask the camera for; the loop takes the newest frame.")
    ] = 30.0
    seconds_per_picture: Annotated[
        float, Field(ge=0.1, le=3600, description="How long each picture lasts when the source is a folder of them.")
    ] = 1.0
    open_retry_s: Annotated[
        float, Field(ge=0.1, le=3600, description="How long to wait before a lost camera is tried again.")
    ] = 2.0


class LoopSettings(Section):
    """The loop over frames."""

    frames_per_second: Annotated[
        float, Field(ge=0.1, le=60, description="How many frames a second are worked on, at the most.")
    ] = 10.0
    scene_max_age_s: Annotated[
        float | None,
        Field(ge=0, le=1, description="In an unchanged picture the scene is looked at this often; 0 is every frame."),
        About(unset="1.0, or 0 for a scene model too small to be worth it", example="1.0"),
    ] = None
    max_cpu_percent: Annotated[
        float,
        Field(ge=1, le=100, description="Work slower when more of all cores is used than this; 100 is no limit."),
        About(unit="percent of all cores"),
    ] = 100.0
    max_temperature_c: Annotated[
        float,
        Field(ge=30, le=125, description="Work slower when the hottest sensor of the machine tells more than this."),
        About(unit="degrees Celsius"),
    ] = 85.0


class PathsSettings(Section):
    """Where files live."""

    data_dir: Annotated[
        FilePath, About(unset="$XDG_DATA_HOME/emomusic-edge", example='"~/.local/share/emomusic-edge"')
    ] = Field(default_factory=default_data_dir, description="Model bundles, engines, music indexes, starter music.")
    cache_dir: Annotated[FilePath, About(unset="$XDG_CACHE_HOME/emomusic-edge", example='"~/.cache/emomusic-edge"')] = (
        Field(default_factory=default_cache_dir, description="What can be fetched or made again.")
    )


class ModelsSettings(Section):
    """The models and how their uncertainty is sampled."""

    scene: Annotated[NameOrPath, Field(description="The scene model: its bundle's name or path.")] = "scene-starter"
    face: Annotated[NameOrPath, Field(description="The face model: its bundle's name or path.")] = "face-starter"
    detector: Annotated[
        Literal["blazeface-full", "blazeface-short", "mediapipe"],
        Field(description="The face detector; `mediapipe` needs that package beside this one."),
    ] = "blazeface-full"
    engine: Annotated[
        Literal["auto", "tensorrt", "cuda", "cpu"],
        Field(description="What runs the models: `auto` takes the best there is; another falls back too, and says so."),
    ] = "auto"
    samples: Annotated[
        int | None,
        Field(ge=1, le=128, description="T, the Monte Carlo dropout samples for each picture."),
        About(unset="the bundle's own default", example="64"),
    ] = None
    masks: Annotated[
        Literal["frozen", "fresh"],
        Field(description="One bank of dropout masks for the life of the process, or new masks for each frame."),
    ] = "frozen"
    mask_seed: Annotated[int, Field(ge=0, le=2**32 - 1, description="The seed of the dropout masks.")] = 0
    threads: Annotated[
        int, Field(ge=0, le=256, description="CPU threads of one inference; 0 takes one for each core.")
    ] = 0


class FacesSettings(Section):
    """Which face counts."""

    min_score: Annotated[float, Field(ge=0, le=1, description="The detector's score below which a face is none.")] = 0.5
    start_score: Annotated[
        float,
        Field(ge=0, le=1, description="The score at which a face that was not there before is believed."),
    ] = 0.75
    hysteresis: Annotated[
        float,
        Field(ge=1, le=10, description="How many times better another face must rank to become the primary one."),
    ] = 1.5


class FusionSettings(Section):
    """How scene and face are made one."""

    rule: Annotated[
        Literal["inverse_variance", "fixed"],
        Field(description="Weigh each model by its certainty, or by the fixed weights below."),
    ] = "inverse_variance"
    variance_floor: Annotated[
        float,
        Field(ge=1e-6, le=10, description="A variance below this counts as this: too few samples to believe it."),
        About(unit=_VARIANCE),
    ] = 0.01
    scene_weight: Annotated[float, Field(gt=0, le=1, description="The scene's weight under the rule `fixed`.")] = 0.6
    face_weight: Annotated[float, Field(gt=0, le=1, description="The face's weight under the rule `fixed`.")] = 0.4
    correlation_s: Annotated[
        float,
        Field(ge=1, le=86400, description="How long a feeling lasts: a scene not looked at anew is less sure by this."),
    ] = 60.0


class StabilizerSettings(Section):
    """How the affect is steadied over time."""

    rule: Annotated[
        Literal["time_constant", "per_frame"],
        Field(description="Move by the time that passed, or by `alpha` with every frame."),
    ] = "time_constant"
    time_constant_s: Annotated[
        float, Field(ge=0.01, le=600, description="After this long, 63 % of a change has come through.")
    ] = 2.0
    alpha: Annotated[
        float, Field(gt=0, le=1, description="The newest frame's share in the average under the rule `per_frame`.")
    ] = 0.7
    gate_valence: Annotated[
        float | None,
        Field(gt=0, le=100, description="A variance of valence above this holds the value."),
        About(unit=_VARIANCE, unset=f"the model bundle's own, else {DEFAULT_GATE:g}", example=f"{DEFAULT_GATE:g}"),
    ] = None
    gate_arousal: Annotated[
        float | None,
        Field(gt=0, le=100, description="A variance of arousal above this holds the value."),
        About(unit=_VARIANCE, unset=f"the model bundle's own, else {DEFAULT_GATE:g}", example=f"{DEFAULT_GATE:g}"),
    ] = None
    stale_after_s: Annotated[
        float, Field(ge=1, le=86400, description="A value held for longer than this is told as stale.")
    ] = 30.0


class MusicSettings(Section):
    """Which music is chosen, and when it changes."""

    index: Annotated[
        NameOrPath,
        Field(description="`starter` (the pieces made here), `deam`, or the path of an index file."),
    ] = "starter"
    audio_dir: Annotated[
        FilePath | None,
        Field(description="The folder with the audio files that the index names."),
        About(unset="beside the index", example='"~/Music/deam"', form="a path"),
    ] = None
    alignment: Annotated[
        Literal["standardise", "linear", "quantile"],
        Field(description="How people's affect is mapped to that of music."),
    ] = "quantile"
    dwell_s: Annotated[float, Field(ge=1, le=3600, description="A song plays for at least this long.")] = 25.0
    recent_songs: Annotated[
        int, Field(ge=0, le=1000, description="So many songs played last are not chosen again while others fit.")
    ] = 5
    switch_margin: Annotated[
        float,
        Field(ge=0, le=2, description="So much nearer must another song be before the current one gives way."),
        About(unit=_DEAM),
    ] = 0.1
    affect_radius: Annotated[
        float,
        Field(ge=0, le=2, description="Songs this near to the feeling fit equally; the longest unplayed comes first."),
        About(unit=_DEAM),
    ] = 0.03
    spacing_songs: Annotated[
        int,
        Field(ge=0, le=10_000, description="So many other songs play before one repeats, where so many fit."),
    ] = 100
    seed: Annotated[int, Field(ge=0, le=2**32 - 1, description="Of the draws among liked songs.")] = 0
    person: Annotated[
        PersonName,
        Field(description="Whose calibration is applied; see `emomusic-edge calibrate`."),
        About(form="up to 32 lower-case letters, digits and hyphens"),
    ] = "everyone"


class ModeSettings(Section):
    """What the music does with the feeling."""

    mode: Annotated[Mode, Field(description="The mode to start in.")] = Mode.MIRROR
    guide_steps: Annotated[
        int, Field(ge=4, le=6, description="`guide`: so many songs after the first one the goal is reached.")
    ] = 5
    goal_valence: Annotated[
        float, Field(ge=-1, le=1, description="`guide`: the valence of the music it leads to."), About(unit=_DEAM)
    ] = 0.3
    goal_arousal: Annotated[
        float, Field(ge=-1, le=1, description="`guide`: the arousal of the music it leads to."), About(unit=_DEAM)
    ] = 0.0
    manual_valence: Annotated[
        float,
        Field(ge=FINDINGEMO.low.valence, le=FINDINGEMO.high.valence, description="`manual`: the mood's valence."),
        About(unit=_FINDINGEMO),
    ] = 1.0
    manual_arousal: Annotated[
        float,
        Field(ge=FINDINGEMO.low.arousal, le=FINDINGEMO.high.arousal, description="`manual`: the mood's arousal."),
        About(unit=_FINDINGEMO),
    ] = 2.0


class PlayerSettings(Section):
    """Sound."""

    muted: Annotated[bool, Field(description="Choose and tell songs, but make no sound.")] = False
    volume: Annotated[float, Field(ge=0, le=1, description="The volume to start with.")] = 0.7
    crossfade_s: Annotated[float, Field(ge=0, le=10, description="How long one song fades into the next.")] = 2.0
    device_retry_s: Annotated[
        float, Field(ge=0.1, le=3600, description="How long to wait before a missing audio device is tried again.")
    ] = 5.0


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class LogSettings(Section):
    """What is logged."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(_lower),
        Field(description="The least grave message that is logged."),
    ] = "info"


class Settings(Section):
    """All settings. `Settings()` is the defaults: it reads neither file nor environment."""

    camera: CameraSettings = Field(default_factory=CameraSettings)
    loop: LoopSettings = Field(default_factory=LoopSettings)
    paths: PathsSettings = Field(default_factory=PathsSettings)
    models: ModelsSettings = Field(default_factory=ModelsSettings)
    faces: FacesSettings = Field(default_factory=FacesSettings)
    fusion: FusionSettings = Field(default_factory=FusionSettings)
    stabilizer: StabilizerSettings = Field(default_factory=StabilizerSettings)
    music: MusicSettings = Field(default_factory=MusicSettings)
    mode: ModeSettings = Field(default_factory=ModeSettings)
    player: PlayerSettings = Field(default_factory=PlayerSettings)
    mqtt: MqttSettings = Field(default_factory=MqttSettings)
    group: GroupSettings = Field(default_factory=GroupSettings)
    privacy: PrivacySettings = Field(default_factory=PrivacySettings)
    trust: TrustSettings = Field(default_factory=TrustSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @model_validator(mode="after")
    def _fade_fits_dwell(self) -> Settings:
        if self.player.crossfade_s >= self.music.dwell_s:
            raise ValueError(
                f"player.crossfade_s is {self.player.crossfade_s:g}, expected less than music.dwell_s, "
                f"which is {self.music.dwell_s:g}"
            )
        return self
