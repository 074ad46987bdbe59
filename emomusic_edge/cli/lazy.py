"""Sub-commands that are listed by name and one line, and imported only when one of them is called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import typer
import typer.core
import typer.main


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A sub-command that is not imported yet.

    Attributes:
        target: `module:attribute`; a function with typer's annotations becomes a command, a typer.Typer a group of
            commands.
        help: one line for the list of commands.
    """

    target: str
    help: str

    def load(self, name: str) -> Any:
        """Import it.

        Returns:
            The command object that typer makes of it (typer's own copy of click's, or click's, as its version has it).
        """
        module, attribute = self.target.split(":")
        found = getattr(importlib.import_module(module), attribute)
        if isinstance(found, typer.Typer):
            group = typer.main.get_group(found)
            group.name = name
            return group
        single = typer.Typer(add_completion=False)
        single.command(name)(found)
        return typer.main.get_command(single)


def lazy_group(commands: Mapping[str, LazyCommand]) -> type[typer.core.TyperGroup]:
    """A group class for `typer.Typer(cls=…)` that lists `commands` and imports the one that is called."""

    class LazyGroup(typer.core.TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            # The list of commands, the completion and the "did you mean" of a mistyped one read no more than these.
            for name, command in commands.items():
                self.commands[name] = typer.core.TyperCommand(name, help=command.help)

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            """Import the command that is about to be called."""
            if args and args[0] in commands:
                self.commands[args[0]] = commands[args[0]].load(args[0])
            return super().resolve_command(ctx, args)

    return LazyGroup
