"""What can be set, in one place: the settings, where they are read from, and how they are shown.

`Settings()` holds the defaults and reads nothing; `load_config` lays flags over environment variables over a TOML
file over the defaults.
"""

from emomusic_edge.config.load import LoadedConfig, load_config, load_what_fits, load_with_origins, parse_assignments
from emomusic_edge.config.mqtt import MqttSettings, password_file, read_password
from emomusic_edge.config.settings import (
    CameraSettings,
    FacesSettings,
    FusionSettings,
    LogSettings,
    LoopSettings,
    ModelsSettings,
    ModeSettings,
    MusicSettings,
    PathsSettings,
    PlayerSettings,
    Settings,
    StabilizerSettings,
)

__all__ = [
    "CameraSettings",
    "FacesSettings",
    "FusionSettings",
    "LoadedConfig",
    "LogSettings",
    "LoopSettings",
    "ModeSettings",
    "ModelsSettings",
    "MqttSettings",
    "MusicSettings",
    "PathsSettings",
    "PlayerSettings",
    "Settings",
    "StabilizerSettings",
    "load_config",
    "load_what_fits",
    "load_with_origins",
    "parse_assignments",
    "password_file",
    "read_password",
]
