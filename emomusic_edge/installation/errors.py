"""What goes wrong with the service itself, as opposed to within it."""

from __future__ import annotations

from emomusic_edge.errors import EmomusicError


class ServiceError(EmomusicError):
    """The service cannot be installed, removed or asked: no right to, no systemd, a file that is in the way."""
