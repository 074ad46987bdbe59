"""What an installation or an upgrade does, worked out from what is wished for and what the machine has; no I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emomusic_edge.installation import unit_files
from emomusic_edge.installation.commands import Commands
from emomusic_edge.installation.environment_steps import environment_made, package_installed
from emomusic_edge.installation.errors import ServiceError
from emomusic_edge.installation.places import Places
from emomusic_edge.installation.record import InstallRecord
from emomusic_edge.installation.source import Source
from emomusic_edge.installation.steps import KeepFile, MakeFolder, RemoveFile, SaveCopy, Step, WriteFile

# In the config file a password may stand.
_SETTINGS_MODE = 0o640


@dataclass(frozen=True, slots=True)
class Wish:
    """What `service install` is asked for.

    Attributes:
        version: of the package that is installed.
        acknowledged: the version of the text that was agreed to.
        venv: an environment that is there already; None makes one, or takes the one of the last time.
        python: makes the environment.
        source: what is installed into it.
        jetson, private_network: whether that drop-in is wanted; None leaves it as it was, or as the machine is.
        starter: whether to make the starter set when it is missing.
        start: whether to start the service, or start it anew.
        root: prepare the system below this folder instead of the running one.
    """

    version: str
    acknowledged: str
    venv: Path | None = None
    python: Path = Path("/usr/bin/python3")
    source: Source | None = None
    jetson: bool | None = None
    private_network: bool | None = None
    starter: bool = True
    start: bool = True
    root: Path | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What the machine has.

    Attributes:
        record: of the last installation; empty without one.
        sha256: of each file that an installation may write and that is there.
        odd: what stands where a file should, and is none (a link, a folder), in words.
        copies: where a copy of each such file may be put.
        environments: those with a program in them.
        out_of_sight: what the service could not see of an environment or its Python, by the environment: it hides
            /home, /root and /run/user.
        changeable: what of an environment or its Python somebody other than root could change, in words; empty without.
        pins: the lock that fits the machine and the environment's Python; empty without one.
        onnxruntime: another package than the common one that brings ONNX Runtime there; empty without one.
        booted: whether systemd runs the machine, or the user's session.
        jetson: whether it is a Jetson.
        starter: whether the starter set is made.
        account: whether the service's user is there.
    """

    record: InstallRecord = field(default_factory=InstallRecord)
    sha256: Mapping[Path, str] = field(default_factory=dict)
    odd: Mapping[Path, str] = field(default_factory=dict)
    copies: Mapping[Path, Path] = field(default_factory=dict)
    environments: frozenset[Path] = frozenset()
    out_of_sight: Mapping[Path, Path] = field(default_factory=dict)
    changeable: str = ""
    pins: str = ""
    onnxruntime: str = ""
    booted: bool = True
    jetson: bool = False
    starter: bool = False
    account: bool = False


def possible_files(places: Places) -> tuple[Path, ...]:
    """All files that an installation may write and a removal may take away; the config and the record aside."""
    names = (unit_files.ENVIRONMENT, unit_files.JETSON, unit_files.PRIVATE_NETWORK, unit_files.USER)
    rules = (
        (places.udev, unit_files.CAMERA_RULES),
        (places.sysusers, "emomusic-edge.conf"),
        (places.tmpfiles, "emomusic-edge.conf"),
    )
    return (
        places.unit,
        *(places.drop_ins / name for name in names),
        *(folder / name for folder, name in rules if folder is not None),
        places.example,
    )


def environment_of(venv: Path | None, record: InstallRecord, places: Places) -> Path:
    """The environment that the unit will start: as named, else the one of the last time, else one of its own."""
    return venv or (Path(record.venv) if record.venv else places.environment)


def install_plan(wish: Wish, found: Found, places: Places) -> list[Step]:
    """The steps of an installation; done again they change nothing.

    The environment comes first, because that is what may fail: until it is whole no other file is touched.

    Raises:
        ServiceError: something is in the way that a step would not mend.
    """
    environment = environment_of(wish.venv, found.record, places)
    made = wish.venv is None and (found.record.venv_made or not found.record.venv)
    jetson = found.record.jetson or found.jetson if wish.jetson is None else wish.jetson
    private = found.record.private_network if wish.private_network is None else wish.private_network
    _check(wish, found, places, environment, made=made)
    wanted = _wanted(places, environment, jetson=jetson, private=private)
    commands = Commands(places, wish.root, booted=found.booted)
    steps: list[Step] = []
    if made and wish.source is not None:
        if environment not in found.environments:
            steps.append(environment_made(environment, wish.python, system_packages=jetson))
        steps += package_installed(environment, wish.source, pins=found.pins, onnxruntime=found.onnxruntime)
    steps.append(MakeFolder(places.config))
    for path, content in wanted.items():
        steps += _written(path, content, found)
    steps += [step for path in _stale(found, places, wanted) for step in removed(path, found)]
    steps.append(_settings(found, places))
    record = InstallRecord(
        version=wish.version,
        acknowledged=wish.acknowledged,
        files={str(path): sha256_of_text(content) for path, content in wanted.items()},
        venv=str(environment),
        venv_made=made,
        jetson=jetson,
        private_network=private,
    )
    if record != found.record:
        steps.append(WriteFile(places.record, record.text(), why="what was installed, for the next time"))
    steps += commands.after_files()
    if wish.starter and not found.starter and wish.root is None:
        steps.append(commands.starter_set(environment))
    if wish.start and commands.running and places.settings in found.sha256:
        steps.append(commands.settings_read(environment))
    steps += commands.enabled(environment, start=wish.start)
    return steps


def sha256_of_text(text: str) -> str:
    """Of a text as it is written, in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def removed(path: Path, found: Found) -> Iterator[Step]:
    """The steps that take a file away; what its owner changed is kept as a copy."""
    if path in found.sha256:
        if found.sha256[path] != found.record.files.get(str(path)):
            yield SaveCopy(path, found.copies[path])
        yield RemoveFile(path)


def _check(wish: Wish, found: Found, places: Places, environment: Path, *, made: bool) -> None:
    for path, what in found.odd.items():
        masked = path == places.unit and what.endswith("/dev/null")
        raise ServiceError(
            f"{path} is {what}, expected a file or nothing.",
            mend="systemctl unmask emomusic-edge" if masked else f"Move it away: sudo mv {path} {path}.saved",
        )
    if not made and environment not in found.environments:
        raise ServiceError(
            f"There is no program {environment}/bin/emomusic-edge.",
            mend=f"Install the package into that environment, or name another: --venv {places.environment} makes one.",
        )
    if made and wish.root is not None:
        raise ServiceError(
            "No environment is made below another root, because a program there may not run here.",
            mend="Install the package there first and name its environment, as seen from inside: --venv PATH.",
        )
    if not places.user and environment in found.out_of_sight:
        raise ServiceError(
            f"The service cannot see {found.out_of_sight[environment]}: it hides /home, /root and /run/user.",
            mend="Name the system's Python with --python /usr/bin/python3 (3.10 to 3.13), or another --venv.",
        )
    if not places.user and found.changeable:
        mend = "Name the system's Python with --python /usr/bin/python3"
        if environment in found.environments:
            mend = (
                f"Take it away (sudo rm -r {environment}) and install again"
                if made
                else f"Give it to root: sudo chown -R root: {environment}; sudo chmod -R go-w {environment}"
            )
        raise ServiceError(
            f"{found.changeable}: expected what root alone can change, because an upgrade runs it as root.",
            mend=f"{mend}. The folders above it must be root's too.",
        )


def _wanted(places: Places, environment: Path, *, jetson: bool, private: bool) -> dict[Path, str]:
    """The text of each file that is not its owner's, by path."""
    program = environment / "bin" / "emomusic-edge"
    unit = unit_files.packaged(unit_files.UNIT_FILE)
    wanted = {places.unit: unit}
    chosen = {unit_files.JETSON: jetson and not places.user, unit_files.PRIVATE_NETWORK: private and not places.user}
    for name in (name for name, on in {**chosen, unit_files.USER: places.user}.items() if on):
        wanted[places.drop_ins / name] = unit_files.packaged(name)
    if f"ExecStart={program} run --config {places.settings}\n" not in unit:
        text = unit_files.environment_drop_in(program, places.settings)
        wanted[places.drop_ins / unit_files.ENVIRONMENT] = text
    if places.udev is not None:
        wanted[places.udev / unit_files.CAMERA_RULES] = unit_files.packaged(unit_files.CAMERA_RULES)
    if places.sysusers is not None:
        wanted[places.sysusers / "emomusic-edge.conf"] = unit_files.packaged(unit_files.SYSUSERS)
    if places.tmpfiles is not None:
        wanted[places.tmpfiles / "emomusic-edge.conf"] = unit_files.packaged(unit_files.TMPFILES)
    wanted[places.example] = unit_files.packaged(unit_files.EXAMPLE)
    return wanted


def _written(path: Path, content: str, found: Found) -> Iterator[Step]:
    there = found.sha256.get(path)
    if there == sha256_of_text(content):
        yield KeepFile(path, "as it should be")
        return
    if there is not None and there != found.record.files.get(str(path)):
        yield SaveCopy(path, found.copies[path])
    yield WriteFile(path, content, why="new" if there is None else "updated")


def _stale(found: Found, places: Places, wanted: Mapping[Path, str]) -> list[Path]:
    """What an earlier installation wrote and this one does not want."""
    return [path for path in possible_files(places) if path not in wanted and str(path) in found.record.files]


def _settings(found: Found, places: Places) -> Step:
    if places.settings in found.sha256:
        return KeepFile(places.settings, f"yours; {places.example.name} beside it has all settings of this version")
    return WriteFile(places.settings, unit_files.first_settings(places), mode=_SETTINGS_MODE)
