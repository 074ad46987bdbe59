"""What taking the service away does, worked out from what was installed; no I/O."""

from __future__ import annotations

from pathlib import Path

from emomusic_edge.installation.commands import Commands
from emomusic_edge.installation.errors import ServiceError
from emomusic_edge.installation.places import Places
from emomusic_edge.installation.plan import Found, possible_files, removed
from emomusic_edge.installation.record import InstallRecord
from emomusic_edge.installation.steps import KeepFile, RemoveFolder, Step, WriteFile


def uninstall_plan(found: Found, places: Places, *, purge: bool = False, root: Path | None = None) -> list[Step]:
    """The steps of a removal.

    Settings, models, music and likes stay unless `purge` is set; so does the answer to what was asked at the first
    installation. Only files that an installation of this program recorded are touched.

    Raises:
        ServiceError: nothing was installed.
    """
    record = found.record
    ours = [path for path in possible_files(places) if str(path) in record.files]
    if not ours and not purge:
        raise ServiceError(
            f"Nothing to take away: {places.record} names no installed file.",
            mend="A unit that was put there by hand goes by hand; --purge removes settings, models and likes too.",
        )
    commands = Commands(places, root, booted=found.booted)
    steps: list[Step] = []
    if places.unit in ours:
        steps += commands.stopped()
    for path in ours:
        steps += removed(path, found)
    if ours:
        steps.append(RemoveFolder(places.drop_ins))
    if record.venv_made and record.venv == str(places.environment):
        steps += [RemoveFolder(places.environment, whole=True), RemoveFolder(places.program)]
    if purge:
        steps += [RemoveFolder(folder, whole=True) for folder in (places.config, places.state, places.cache)]
        if found.account and not places.user:
            steps.append(commands.account_removed())
    else:
        steps += [KeepFile(folder, "yours; --purge removes it") for folder in (places.config, places.state)]
        steps.append(WriteFile(places.record, InstallRecord(acknowledged=record.acknowledged).text(), why="updated"))
    if commands.running:
        steps.append(commands.systemctl("daemon-reload"))
        steps += commands.camera_rules()
    return steps
