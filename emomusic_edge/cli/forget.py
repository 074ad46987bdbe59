"""`emomusic-edge forget`: wipe what likes, dislikes and skips taught, and the history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emomusic_edge.cli.run import CONFIG, SET


def forget(
    config: Annotated[Path | None, CONFIG] = None,
    assignments: Annotated[list[str] | None, SET] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Wipe what likes, dislikes and skips taught, of all songs, and the history where `privacy.history_h` keeps one.

    They stand in small files of the data folder, the likes as counts without times. After this no song is named. The
    system service has a data folder of its own: `service do forget` wipes that. A service that runs meanwhile forgets
    with its next song; over MQTT the command `forget` does the same at once.

        emomusic-edge forget --yes
    """
    from emomusic_edge.config import load_config, parse_assignments
    from emomusic_edge.errors import ConfigError
    from emomusic_edge.installation.places import AS_SERVICE, system_places
    from emomusic_edge.paths import DataLayout
    from emomusic_edge.runtime.choice.feedback_store import FeedbackStore
    from emomusic_edge.runtime.doctor.system import is_there
    from emomusic_edge.runtime.privacy.history import HistoryFile

    layout = DataLayout(load_config(config, parse_assignments(assignments or ())).paths.data_dir)
    path = layout.likes
    if not yes and not typer.confirm(f"Wipe all likes, dislikes and skips, and the history, in {path.parent}?"):
        raise typer.Exit
    store = FeedbackStore(path, "")
    try:
        # First the one that tells more of a person.
        had_history = HistoryFile(layout.history, kept_s=0.0).remove()
        known = store.forget()
    except OSError as cause:
        raise ConfigError(
            f"{cause}: not all was forgotten.",
            mend="Run it as the user that the file belongs to, or stop the service first.",
        ) from cause
    done = f"Forgot {known} song{'' if known == 1 else 's'}" if known else "There was nothing to forget"
    typer.echo(f"{done} in {path}.")
    if had_history:
        typer.echo(f"Removed the history, {layout.history}.")
    service = system_places()
    if layout.root != service.state and is_there(service.settings):
        typer.echo(f"The service has likes and a history of its own. To wipe those: {AS_SERVICE} forget")
