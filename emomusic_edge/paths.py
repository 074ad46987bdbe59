"""Where files live: the XDG folders of a user, or one data folder named in the config (a service's /var/lib)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from emomusic_edge.errors import ConfigError

APP_NAME = "emomusic-edge"
STARTER_INDEX_NAME = "starter-index.npz"


def default_data_dir() -> Path:
    """`$XDG_DATA_HOME/emomusic-edge`: bundles, indexes, starter music."""
    return _of_user(platformdirs.user_data_dir)


def default_cache_dir() -> Path:
    """`$XDG_CACHE_HOME/emomusic-edge`: what can be fetched or made again."""
    return _of_user(platformdirs.user_cache_dir)


def default_config_file() -> Path:
    """`$XDG_CONFIG_HOME/emomusic-edge/config.toml`: read when no `--config` is given and it exists."""
    return _of_user(platformdirs.user_config_dir) / "config.toml"


def _of_user(find: Callable[[str], str]) -> Path:
    """One of a user's folders.

    Raises:
        ConfigError: the user has none (a number without a name, in a container, and no HOME).
    """
    try:
        return Path(find(APP_NAME))
    except RuntimeError as cause:
        raise ConfigError(
            f"This user's own folders are not known: {cause}.", mend="Set HOME to a folder that this user may write to."
        ) from cause


@dataclass(frozen=True, slots=True)
class DataLayout:
    """The folders inside a data folder."""

    root: Path

    @property
    def bundles(self) -> Path:
        """A folder for each model bundle: manifest.json + model.onnx."""
        return self.root / "models"

    @property
    def engines(self) -> Path:
        """What TensorRT made of bundles on this device; see emomusic_edge.engine_store."""
        return self.root / "engines"

    @property
    def starter_music(self) -> Path:
        """The pieces the package makes itself, as OGG, and their index."""
        return self.root / "starter-music"

    @property
    def starter_index(self) -> Path:
        """The index of the starter music."""
        return self.starter_music / STARTER_INDEX_NAME

    @property
    def likes(self) -> Path:
        """What likes, dislikes and skips taught; see runtime/choice/feedback_store.py."""
        return self.root / "likes.sqlite"

    @property
    def home_assistant(self) -> Path:
        """What was announced to Home Assistant last; see runtime/home_assistant/remembered.py."""
        return self.root / "home-assistant.json"

    @property
    def camera_wishes(self) -> Path:
        """That the camera is to stay closed; see runtime/privacy/paused_state.py."""
        return self.root / "camera.json"

    @property
    def run_lock(self) -> Path:
        """Held for as long as a run goes on; see runtime/instance_lock.py."""
        return self.root / "run.lock"

    @property
    def history(self) -> Path:
        """The last hours in minutes, where `privacy.history_h` asks for it; see runtime/privacy/history.py."""
        return self.root / "history.sqlite"

    def calibration(self, person: str) -> Path:
        """One person's calibration; see runtime/calibration.py."""
        return self.root / "calibration" / f"{person}.json"

    def bundle(self, name: str) -> Path:
        """The folder of one bundle."""
        return self.bundles / name


@dataclass(frozen=True, slots=True)
class CacheLayout:
    """The folders inside a cache folder."""

    root: Path

    @property
    def graphs(self) -> Path:
        """What ONNX Runtime made of bundles on this machine; see emomusic_edge.graph_store."""
        return self.root / "graphs"


def packaged_bundle(name: str) -> Path:
    """The folder of a bundle that ships inside the package, e.g. `scene-starter`."""
    return Path(__file__).parent / "models" / name


def packaged_deam_index() -> Path:
    """The bundled index of DEAM's windows (no audio)."""
    return Path(__file__).parent / "deam_index" / "data" / "deam_windows.npz"
