"""A person's calibration: where their neutral face comes out, and the shift that moves it to FindingEmo's neutral.

A small JSON file a person in the data folder, written by `emomusic-edge calibrate`, readable by its owner alone.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emomusic_edge.artefacts import write_atomic
from emomusic_edge.contracts import StateSnapshot, ValenceArousal
from emomusic_edge.errors import ConfigError

NEUTRAL = ValenceArousal(0.0, 2.0)
"""FindingEmo units: what the starter face model calls neutral, halfway between unpleasant and pleasant, and quiet."""

MAX_SHIFT = 1.0
"""FindingEmo units, an axis: half a standard deviation of its annotations. A neutral face that seems farther off than
this is a wrong minute or a wrong model, and no shift may turn a glad face into a sad one."""

MIN_SURE_SHARE = 0.3
MIN_SURE_FRAMES = 30
MAX_SD = 0.8
"""FindingEmo units: half the sd of its annotations over all people and scenes. Who moves more was not neutral."""

_MEND = "Sit in the light, look at the camera with a resting face for the whole minute, and run it again."


@dataclass(frozen=True, slots=True)
class ModelHashes:
    """The sha256 of the `model.onnx` of the two models that a feeling comes from; empty where it is not known."""

    face_sha256: str = ""
    scene_sha256: str = ""


class Calibration(BaseModel):
    """One person's neutral minute.

    Attributes:
        schema_version: 1.
        person: whose.
        neutral_valence, neutral_arousal: the mean of the sure frames, FindingEmo units.
        sd_valence, sd_arousal: over the same frames.
        shift_valence, shift_arousal: added to what is felt before music is sought; at most MAX_SHIFT off zero.
        sure_frames: how many frames it rests on.
        seconds: how long they span.
        face_sha256, scene_sha256: of the `model.onnx` that they were seen with; empty in a file from before these were
            kept.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    schema_version: Literal[1] = 1
    person: str
    neutral_valence: Annotated[float, Field(ge=-3, le=3)]
    neutral_arousal: Annotated[float, Field(ge=0, le=6)]
    sd_valence: Annotated[float, Field(ge=0)]
    sd_arousal: Annotated[float, Field(ge=0)]
    shift_valence: Annotated[float, Field(ge=-MAX_SHIFT, le=MAX_SHIFT)]
    shift_arousal: Annotated[float, Field(ge=-MAX_SHIFT, le=MAX_SHIFT)]
    sure_frames: Annotated[int, Field(ge=1)]
    seconds: Annotated[float, Field(ge=0)]
    face_sha256: str = ""
    scene_sha256: str = ""

    @property
    def shift(self) -> ValenceArousal:
        """What is added to what is felt, FindingEmo units."""
        return ValenceArousal(self.shift_valence, self.shift_arousal)

    @property
    def bounded(self) -> bool:
        """Whether the neutral face lay farther off than a shift may reach."""
        wanted = (NEUTRAL.valence - self.neutral_valence, NEUTRAL.arousal - self.neutral_arousal)
        return any(abs(value) > MAX_SHIFT for value in wanted)

    def made_with_others(self, models: ModelHashes) -> str:
        """Which models of a run are others than it was made with, as a line for people; "" if none is known to be."""
        pairs = {"face": (self.face_sha256, models.face_sha256), "scene": (self.scene_sha256, models.scene_sha256)}
        others = [part for part, (then, now) in pairs.items() if then and now and then != now]
        if not others:
            return ""
        return f"the calibration of {self.person} was made with another {' and '.join(others)} model: it is not applied"

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"{self.person}: neutral seen at valence {self.neutral_valence:+.2f}, arousal {self.neutral_arousal:.2f}; "
            f"shifted by {self.shift_valence:+.2f} and {self.shift_arousal:+.2f}"
            + (f", the most that is done ({MAX_SHIFT:g})" if self.bounded else "")
        )


@dataclass(frozen=True, slots=True)
class AppliedCalibration:
    """What of a person's calibration a run takes.

    Attributes:
        calibration: None where there is none, or the one that is stored does not fit.
        reason: why the one that is stored is not applied; "" where it is, or there is none.
    """

    calibration: Calibration | None
    reason: str = ""


class NeutralMinute:
    """Takes the snapshots of a run, and makes a calibration of the sure ones: a face, and no axis held."""

    def __init__(self, models: ModelHashes | None = None) -> None:
        self._models = models or ModelHashes()
        self._sure: list[ValenceArousal] = []
        self._times_s: list[float] = []
        self._frames = 0

    def add(self, snapshot: StateSnapshot) -> None:
        """Take one."""
        if not snapshot.new_frame:
            return
        self._frames += 1
        stable, fused = snapshot.stable, snapshot.fused
        if snapshot.face is None or stable is None or fused is None or any(stable.held):
            return
        self._sure.append(fused.mean)
        self._times_s.append(snapshot.t_s)

    def calibration(self, person: str) -> Calibration:
        """What was recorded.

        Raises:
            ConfigError: too few frames were sure, or the feeling moved too much.
        """
        sure = len(self._sure)
        if sure < MIN_SURE_FRAMES or sure < MIN_SURE_SHARE * self._frames:
            raise ConfigError(
                f"{sure} of {self._frames} frames showed a face surely; at least {MIN_SURE_FRAMES} and "
                f"{MIN_SURE_SHARE:.0%} are needed. Nothing was stored.",
                mend=_MEND,
            )
        values: NDArray[np.float64] = np.array(self._sure, np.float64)
        mean, sd = values.mean(axis=0), values.std(axis=0)
        if (sd > MAX_SD).any():
            raise ConfigError(
                f"the feeling moved too much to be neutral: sd {sd[0]:.2f} in valence and {sd[1]:.2f} in arousal, at "
                f"most {MAX_SD:g} was expected. Nothing was stored.",
                mend=_MEND,
            )
        shift = np.clip(np.array(NEUTRAL) - mean, -MAX_SHIFT, MAX_SHIFT)
        return Calibration(
            person=person,
            neutral_valence=float(np.clip(mean[0], -3, 3)),
            neutral_arousal=float(np.clip(mean[1], 0, 6)),
            sd_valence=float(sd[0]),
            sd_arousal=float(sd[1]),
            shift_valence=float(shift[0]),
            shift_arousal=float(shift[1]),
            sure_frames=sure,
            seconds=self._times_s[-1] - self._times_s[0],
            face_sha256=self._models.face_sha256,
            scene_sha256=self._models.scene_sha256,
        )


def read_calibration(path: Path) -> Calibration | None:
    """The calibration in a file; None when there is none.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as cause:
        raise ConfigError(
            f"{path} cannot be read: {cause.strerror or cause}.", mend=f"Make it readable, or remove it: {path}"
        ) from cause
    except ValidationError as cause:
        first = cause.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigError(
            f"{path} is no calibration: {field}: {first['msg']}.",
            mend="Delete it with `emomusic-edge calibrate --delete`, and calibrate again.",
        ) from cause


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write it so that the old or the new one stands at any moment.

    Raises:
        ConfigError: the folder cannot be written.
    """
    try:
        write_atomic(path, calibration.model_dump_json(indent=2) + "\n", mode=0o600)
    except OSError as cause:
        raise ConfigError(f"{path} cannot be written: {cause.strerror or cause}.") from cause


def delete_calibration(path: Path) -> bool:
    """Delete it; returns whether there was one.

    Raises:
        ConfigError: it cannot be deleted.
    """
    with contextlib.suppress(FileNotFoundError):
        try:
            path.unlink()
        except FileNotFoundError:
            raise
        except OSError as cause:
            raise ConfigError(f"{path} cannot be deleted: {cause.strerror or cause}.") from cause
        return True
    return False
