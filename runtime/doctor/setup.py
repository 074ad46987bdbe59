"""What is looked at: the settings in effect, or those that fit and the reason why the others do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emomusic_edge.config import Settings, load_what_fits, load_with_origins
from emomusic_edge.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Setup:
    """The settings that a run would take.

    Attributes:
        settings: in effect; where they do not load, those that fit.
        file: the configuration file; None without one.
        origins: where each setting that was given came from, by key.
        error: why the settings do not load; None when they do.
    """

    settings: Settings
    file: Path | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    error: ConfigError | None = None


def setup_of(file: Path | None, overrides: Mapping[str, object]) -> Setup:
    """The settings, or what of them fits where they do not load: one slip must not hide all else that is wrong.

    Args:
        file: the configuration file that was named; None takes the user's own, if there is one.
        overrides: settings given on the command line, by key.
    """
    try:
        loaded = load_with_origins(file, overrides)
    except ConfigError as error:
        fits = load_what_fits(file, overrides)
        return Setup(fits.settings, fits.file, fits.origins, error)
    return Setup(loaded.settings, loaded.file, loaded.origins)
