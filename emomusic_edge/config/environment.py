"""Settings out of environment variables, by pydantic-settings: `EMOMUSIC_MQTT__HOST` is `mqtt.host`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from emomusic_edge.config.describe import ENV_NESTED, ENV_PREFIX
from emomusic_edge.config.settings import Settings


class _Variables(Settings, BaseSettings):
    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_NESTED)


def values_of(environ: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """The values that the variables give, by section and name; not yet validated.

    Args:
        environ: only variables that name a setting; upper or lower case.
    """
    source = EnvSettingsSource(_Variables)
    source.env_vars = {name.lower(): value for name, value in environ.items()}
    return source()
