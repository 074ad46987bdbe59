"""The system service put in place, upgraded and taken away again.

`look` sees what the machine has, `install_plan` and `uninstall_plan` turn that and a wish into steps (no I/O in them),
`carry_out` does the steps. `--dry-run` prints the very steps that would be done.
"""

from emomusic_edge.installation.acknowledgement import ACKNOWLEDGEMENT, ACKNOWLEDGEMENT_VERSION
from emomusic_edge.installation.as_service import run_as_service
from emomusic_edge.installation.errors import ServiceError
from emomusic_edge.installation.executor import carry_out
from emomusic_edge.installation.machine import look
from emomusic_edge.installation.places import SERVICE, UNIT, Places, system_places, user_places
from emomusic_edge.installation.plan import Found, Wish, install_plan
from emomusic_edge.installation.record import InstallRecord
from emomusic_edge.installation.source import Source, source_of
from emomusic_edge.installation.steps import Step
from emomusic_edge.installation.uninstall import uninstall_plan

__all__ = [
    "ACKNOWLEDGEMENT",
    "ACKNOWLEDGEMENT_VERSION",
    "SERVICE",
    "UNIT",
    "Found",
    "InstallRecord",
    "Places",
    "ServiceError",
    "Source",
    "Step",
    "Wish",
    "carry_out",
    "install_plan",
    "look",
    "run_as_service",
    "source_of",
    "system_places",
    "uninstall_plan",
    "user_places",
]
