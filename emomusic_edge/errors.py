"""Every error that a user may meet, with the exit code it ends the command with.

A message names the thing, what was found, what was expected, and the command or setting that mends it. The command
line prints it on one screen without a traceback (`--debug` shows one); docs/errors.md lists the codes.
"""

from __future__ import annotations


class EmomusicError(Exception):
    """Base of all errors with a message meant for a person.

    Attributes:
        exit_code: what the process exits with when this error ends a command.
        mend: one line: the command or setting that mends it; empty where nothing does.
    """

    exit_code = 1

    def __init__(self, message: str, *, mend: str = "") -> None:
        super().__init__(message)
        self.mend = mend


class ConfigError(EmomusicError):
    """A setting, flag or environment variable is unknown, of the wrong kind or out of bounds."""

    exit_code = 3


class SourceError(EmomusicError):
    """A camera, video file or picture folder is missing, cannot be opened or stopped giving frames."""

    exit_code = 4


class ModelError(EmomusicError):
    """A model bundle is missing, unreadable, altered, or breaks the contract."""

    exit_code = 5


class IndexFileError(EmomusicError):
    """A music index is missing, unreadable, altered, or holds nothing playable."""

    exit_code = 6


class AudioError(EmomusicError):
    """An audio file does not decode, or no audio device answers."""

    exit_code = 7


class FetchError(EmomusicError):
    """A pinned package could not be fetched, or a file in it is not the one that was pinned."""

    exit_code = 8


class BrokerError(EmomusicError):
    """The MQTT settings cannot work (a file that is missing, plaintext where it is not allowed)."""

    exit_code = 9


class TwinError(EmomusicError):
    """Another run has this one's data folder, or on the broker its `mqtt.node` for longer; this one gives way."""

    # EX_TEMPFAIL of sysexits.h: nothing is broken here, and the unit does not start it again.
    exit_code = 75


class MissingExtraError(EmomusicError):
    """A command needs packages that stand behind one of the extras."""

    exit_code = 10
