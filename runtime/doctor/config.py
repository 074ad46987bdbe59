"""Whether the settings load, and whose they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from emomusic_edge.installation.places import AS_SERVICE
from emomusic_edge.paths import default_config_file

from .finding import About, Finding
from .setup import Setup
from .system import is_there

SERVICE_CONFIG = Path("/etc/emomusic-edge/config.toml")

_about = About("config")


def look(setup: Setup, service_config: Path = SERVICE_CONFIG) -> Iterator[Finding]:
    """Whether the settings load, and whether the service has others.

    Args:
        setup: the settings.
        service_config: those of the installed service.
    """
    if setup.error is not None:
        yield _about.problem(
            "settings",
            str(setup.error).rstrip("."),
            meaning="No run starts with these settings. All that follows was looked at with those that fit.",
            mend=setup.error.mend,
        )
    elif setup.file is None:
        yield _about.ok("settings", f"the defaults: there is no {default_config_file()}", file=None, given=0)
    else:
        given = len(setup.origins)
        found = f"{setup.file}; {given} {'setting is' if given == 1 else 'settings are'} given in all"
        yield _about.ok("settings", found, file=str(setup.file), given=given)
    if setup.file is None and setup.error is None and is_there(service_config):
        yield _about.warning(
            "service",
            f"the installed service has settings of its own: {service_config}",
            meaning="This examination is of your own settings and folders, not of the service's.",
            mend=f"{AS_SERVICE} doctor",
        )
