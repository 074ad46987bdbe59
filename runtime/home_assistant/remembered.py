"""What was announced to Home Assistant last: a small JSON file, so that a later run can take back what is gone."""

from __future__ import annotations

import json
import logging
import secrets
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emomusic_edge.artefacts import write_atomic
from emomusic_edge.config.mqtt import DEVICE_ID_PATTERN
from emomusic_edge.runtime.kept_trying import RETRY_S, KeptTrying

from .machine_marks import Marks, another_machine

_log = logging.getLogger(__name__)

# Names given up while no broker was there to hear of it.
MAX_FORMER = 8
_MAX_BYTES = 64 * 1024
_COSTS = "entities and names given up before may stay in Home Assistant until removed by hand"
_Level = Annotated[str, Field(pattern=DEVICE_ID_PATTERN)]
# As mqtt.discovery_prefix.
_Prefix = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f#+/]+(/[^\x00-\x1f\x7f#+/]+)*$")]
_Platforms = dict[str, Annotated[str, Field(pattern=r"^[a-z_]+$")]]
_Digits = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Place(_Stored):
    """Where a document may stand, under a prefix for a device, and the node that it speaks for."""

    prefix: _Prefix
    device: _Level
    node: _Level

    @model_validator(mode="before")
    @classmethod
    def _device_was_the_node(cls, data: Any) -> Any:
        # Of a version that knew a device by its name alone.
        return {"device": data.get("node"), **data} if isinstance(data, dict) else data

    def same_document(self, other: Place) -> bool:
        """Whether both are the same entities to Home Assistant, under whatever name."""
        return (self.prefix, self.device) == (other.prefix, other.device)


class Former(_Stored):
    """A place given up, and what was announced there and is no more: the platform of each component by its id."""

    place: Place
    components: _Platforms


class Remembered(_Stored):
    """What may still stand in the broker, or in Home Assistant, by our doing.

    Attributes:
        serial: the mark of this device in its documents.
        marks: of the machine that remembers; empty where a version wrote it that knew none.
        current: where it was announced last; None when it is not announced.
        components: the platform of each component in that document, by its id.
        removed: those of former versions that Home Assistant may not yet know to be gone.
        former: places given up that may not yet be cleared there.
    """

    serial: _Digits = Field(default_factory=lambda: secrets.token_hex(6))
    marks: dict[str, tuple[_Digits, ...]] = Field(default_factory=dict)
    current: Place | None = None
    components: _Platforms = Field(default_factory=dict)
    removed: _Platforms = Field(default_factory=dict)
    former: tuple[Former, ...] = Field(default=(), max_length=MAX_FORMER)

    def announcing(self, place: Place, components: dict[str, str]) -> Remembered:
        """What is to be remembered once these components stand at `place`; another place is given up.

        Of another name for the same device only the name is given up: its components are those of the document.
        """
        known = [*self.former, *self._last()]
        here = [name for one in known if one.place.same_document(place) for name in one.components.items()]
        return Remembered(
            serial=self.serial,
            marks=self.marks,
            current=place,
            components=components,
            removed={name: platform for name, platform in here if name not in components},
            former=tuple(
                Former(place=one.place, components={}) if one.place.same_document(place) else one
                for one in known
                if one.place != place
            )[-MAX_FORMER:],
        )

    def withdrawing(self) -> Remembered:
        """What is to be remembered when nothing is announced any more."""
        last = self._last()
        places = {one.place for one in last}
        kept = (one for one in self.former if one.place not in places)
        return Remembered(serial=self.serial, marks=self.marks, former=(*kept, *last)[-MAX_FORMER:])

    def without(self, done: frozenset[Place]) -> Remembered:
        """The same, without the places that are `done` with, and without what was removed where we are."""
        former = tuple(one for one in self.former if one.place not in done)
        removed = {} if self.current in done else self.removed
        return self.model_copy(update={"removed": removed, "former": former})

    def _last(self) -> tuple[Former, ...]:
        if self.current is None:
            return ()
        return (Former(place=self.current, components={**self.removed, **self.components}),)


class RememberedFile:
    """The file; one that is damaged is logged, and one that cannot be written now is written as soon as it can be.

    One that came here from another machine, as on a copied card, tells of that machine's places: nothing of it is used.
    """

    def __init__(self, path: Path, *, marks: Marks | None = None, retry_s: float = RETRY_S) -> None:
        """Bind the file; nothing is read yet.

        Args:
            path: where it is, or will be.
            marks: of this machine (machine_marks()); without any, a file is taken whoever wrote it.
            retry_s: how long to wait after a write that failed.
        """
        self._path = path
        self._marks = dict(marks or {})
        self._text = ""
        self._unread = ""
        self._kept = KeptTrying(path, self._write, costs=_COSTS, retry_s=retry_s)

    @property
    def reason(self) -> str:
        """Why it is not what it should be, and what that costs; empty when all is well."""
        return self._unread or self._kept.reason

    def load(self) -> Remembered:
        """What it holds; something new where it holds nothing of use, or another machine wrote it."""
        found = self._read()
        if found is None:
            return Remembered(marks=self._marks)
        kind = another_machine(found.marks, self._marks)
        if kind:
            _log.warning(
                "%s was copied from another machine (its %s mark differs): this device appears in Home Assistant as "
                "one of its own, and what the other one announced is left to it",
                self._path,
                kind,
            )
            return Remembered(marks=self._marks)
        return found.model_copy(update={"marks": {**found.marks, **self._marks}})

    def _read(self) -> Remembered | None:
        try:
            with self._path.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._complain("cannot be read", error.strerror or str(error))
            return None
        try:
            return Remembered.model_validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            self._complain("is of no use", f"{where}: {first['msg']}" if where else first["msg"])
            return None

    def save(self, remembered: Remembered) -> None:
        """Write it, whole or not at all; nothing is written that stands there already."""
        self._text = json.dumps(remembered.model_dump(mode="json"), indent=1) + "\n"
        self._unread = ""
        self._kept.write()

    def _write(self) -> None:
        text = self._text
        if not (self._path.is_file() and self._path.read_bytes() == text.encode()):
            write_atomic(self._path, text)

    def _complain(self, what: str, why: str) -> None:
        self._unread = f"{self._path} {what} ({why}): {_COSTS}"
        _log.warning("%s", self._unread)
