"""The settings of trust: whose models and indexes run."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from emomusic_edge.config.fields import About, FilePath, Section


class TrustSettings(Section):
    """Whose models and music indexes run; see docs/signing.md."""

    allowed_signers: Annotated[
        FilePath | None,
        Field(description="A file of public keys: `run` then takes nothing that none of them signed."),
        About(unset="no signature is asked for", example='"/etc/emomusic-edge/allowed_signers"'),
    ] = None
