"""`emomusic-edge sign`: put a signature beside model bundles and music indexes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emomusic_edge.cli.run import CONFIG

if TYPE_CHECKING:
    from emomusic_edge.config import Settings

_ARTEFACTS = typer.Argument(
    metavar="BUNDLE|INDEX...", help="Bundles by name or folder; indexes by file, or `starter`.", show_default=False
)
_KEY = typer.Option("--key", help="A private key of OpenSSH.", metavar="FILE")


def sign(
    artefacts: Annotated[list[str], _ARTEFACTS],
    key: Annotated[Path, _KEY] = Path("~/.ssh/id_ed25519"),
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Sign model bundles and music indexes with a key of your own, so that a device can ask for it.

    Each is checked first: nothing broken is signed. The device takes what is signed once `trust.allowed_signers`
    names a file with your public key; docs/signing.md has the steps.
    """
    from emomusic_edge.config import load_config
    from emomusic_edge.trust import NAMESPACE, sign

    settings = load_config(config)
    checked = [_checked(artefact, settings) for artefact in artefacts]
    private = key.expanduser()
    for path, content in checked:
        typer.echo(f"{path}: signed, {sign(path, content, private).name}")
    public = private if private.suffix == ".pub" else private.with_name(private.name + ".pub")
    if public.is_file():
        words = public.read_text(encoding="utf-8", errors="replace").split()[:2]
        typer.echo(f'To trust it, a line of allowed_signers:\nme namespaces="{NAMESPACE}" {" ".join(words)}')


def _checked(artefact: str, settings: Settings) -> tuple[Path, bytes]:
    """The file that is signed and its bytes, once the whole was found to be sound.

    Raises:
        EmomusicError: there is no such thing, or it is broken.
    """
    from emomusic_edge.deam_index.index_file import read_index
    from emomusic_edge.manifest import MANIFEST_NAME
    from emomusic_edge.model_file import open_bundle
    from emomusic_edge.paths import DataLayout
    from emomusic_edge.runtime.locate import find_bundle

    read: list[bytes] = []
    path = Path(artefact).expanduser()
    if artefact == "starter":
        path = DataLayout(settings.paths.data_dir).starter_index
    elif not path.is_file():
        bundle = path if path.is_dir() else find_bundle(artefact, settings)
        _, model = open_bundle(bundle, check=lambda file, content: read.append(content))
        model.check()
        return bundle / MANIFEST_NAME, read[0]
    read_index(path, check=lambda file, content: read.append(bytes(content)))
    return path, read[0]
