"""A system below a folder of its own, and what would have been run there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from emomusic_edge.installation import (
    ACKNOWLEDGEMENT_VERSION,
    Places,
    Step,
    Wish,
    carry_out,
    install_plan,
    look,
    system_places,
    uninstall_plan,
)

ENVIRONMENT = Path("/opt/emomusic-edge/venv")


@dataclass
class Machine:
    """A fake root with real files; the programs that an installation calls are written down, not run."""

    root: Path
    places: Places = field(default_factory=system_places)
    ran: list[tuple[str, ...]] = field(default_factory=list)
    fails: Callable[[Sequence[str]], bool] = lambda argv: False
    wish: Wish = field(default_factory=lambda: Wish("1.0", ACKNOWLEDGEMENT_VERSION, venv=ENVIRONMENT))

    def here(self, path: Path) -> Path:
        return self.root / path.relative_to("/")

    def text(self, path: Path) -> str:
        return self.here(path).read_text()

    def plan(self, **changes: object) -> list[Step]:
        wish = replace(self.wish, root=self.root, **changes)  # type: ignore[arg-type]
        return install_plan(wish, look(self.places, root=self.root, venv=wish.venv), self.places)

    def install(self, **changes: object) -> list[Step]:
        steps = self.plan(**changes)
        self.do(steps)
        return steps

    def uninstall(self, *, purge: bool = False) -> list[Step]:
        steps = uninstall_plan(look(self.places, root=self.root), self.places, purge=purge, root=self.root)
        self.do(steps)
        return steps

    def do(self, steps: list[Step]) -> None:
        carry_out(steps, lambda line: None, root=self.root, run=self._run)

    def _run(self, argv: Sequence[str]) -> int:
        self.ran.append(tuple(argv))
        return int(self.fails(argv))

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }
