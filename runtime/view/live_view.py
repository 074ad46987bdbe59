"""Shows a run to the person at the terminal: a panel that redraws itself, or a line every few seconds."""

from __future__ import annotations

import io
import logging
import math
import re
import statistics
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from emomusic_edge.artefacts import write_atomic
from emomusic_edge.contracts import StateSnapshot, ValenceArousal

from .live_panel import FOOTNOTE, KEY_HINT, Surroundings, plain_line, render

_log = logging.getLogger(__name__)

# drawn on a thread of rich, so that the loop pays for handing over a snapshot only
_REFRESH_PER_SECOND = 4
_PLAIN_EVERY_S = 5.0
_LATENCIES = 50


class LiveView:
    """Shows snapshots while a run goes on: a panel that redraws itself on a terminal, else a line every few seconds.

    A context manager; `update` only hands the snapshot over.
    """

    def __init__(
        self,
        console: Console,
        *,
        title: str = "emomusic-edge",
        notice: str = "",
        broker: str | None = None,
        to_felt: Callable[[ValenceArousal], ValenceArousal] | None = None,
    ) -> None:
        self._console = console
        self._title = title
        self._notice = notice
        self._broker = broker
        self._to_felt = to_felt
        self._snapshot: StateSnapshot | None = None
        self._latencies_ms: deque[float] = deque(maxlen=_LATENCIES)
        self._start_s: float | None = None
        self._last_line_s = -math.inf
        self._live: Live | None = None

    def __enter__(self) -> LiveView:
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                get_renderable=self.picture,
                console=self._console,
                refresh_per_second=_REFRESH_PER_SECOND,
                vertical_overflow="crop",
            )
            self._live.start(refresh=True)
        else:
            self._print(f"{self._title}: {FOOTNOTE}; {KEY_HINT}")
            if self._notice:
                self._print(self._notice)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def update(self, snapshot: StateSnapshot) -> None:
        """Show this snapshot from now on."""
        if snapshot.new_frame:
            self._latencies_ms.append(snapshot.latency_ms)
        self._snapshot = snapshot
        if self._start_s is None:
            self._start_s = snapshot.t_s
        if self._live is None and abs(snapshot.t_s - self._last_line_s) >= _PLAIN_EVERY_S:
            self._last_line_s = snapshot.t_s
            self._print(plain_line(snapshot, self._start_s))

    def picture(self) -> RenderableType:
        """The panel as it stands now."""
        around = Surroundings(
            title=self._title,
            notice=self._notice,
            broker=self._broker,
            latency_p50_ms=statistics.median(self._latencies_ms.copy()) if self._latencies_ms else None,
            to_felt=self._to_felt,
        )
        return render(self._snapshot, around)

    def save_svg(self, path: Path, *, width: int = 96) -> None:
        """Write the panel as it stands now as an SVG picture, `width` characters wide.

        Raises:
            OSError: the folder cannot be written.
        """
        write_atomic(path, svg_of(self.picture(), title=self._title, width=width), mode=0o600)

    def _print(self, line: str) -> None:
        show(self._console, Text(line), soft_wrap=True)


def show(console: Console, what: RenderableType, *, soft_wrap: bool = False) -> None:
    """Print; what a full disk does not take, where the output goes to a file, is lost, and no reason to stop.

    Raises:
        BrokenPipeError: the reader went away.
    """
    try:
        console.print(what, soft_wrap=soft_wrap)
    except BrokenPipeError:
        raise
    except OSError as cause:
        _log.debug("a line of the output is lost: %s", cause)


def svg_of(picture: RenderableType, *, title: str, width: int = 96) -> str:
    """A renderable as an SVG terminal window that asks for nothing from the network."""
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(picture)
    svg = console.export_svg(title=title)
    # rich names a web font and where to load it from; without it a viewer takes its own monospace font, and the
    # lengths that each piece of text states keep the columns aligned
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
