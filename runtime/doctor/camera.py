"""The camera: may it be opened, does it open, how many pictures a second, in which form, under which name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from emomusic_edge.contracts import Frame, FrameSource
from emomusic_edge.errors import EmomusicError, SourceError
from emomusic_edge.installation.unit_files import CAMERA
from emomusic_edge.runtime.camera import AUTO, CameraNode, cameras, source_from
from emomusic_edge.runtime.camera.discover import BY_ID

from .finding import About, Finding
from .processes import Process, holders
from .setup import Setup
from .system import join_group
from .video_access import Access, access
from .video_format import VideoFormat, query_format

_MEASURED_S = 2.0
# Whatever the clock of the frames does, the look ends; no camera gives 240 a second for longer than this.
_MOST_FRAMES = 600
# A camera's 30 a second are 29.97 or, in the evening, a little fewer.
_NEAR_ENOUGH = 0.9
# ITU-R BT.601: black is 16 where not the whole range of a byte is used.
_BLACK = 16

_WAITED_FOR = "A run waits for it; until it is there, nothing is estimated."

_about = About("camera")


def look(
    setup: Setup,
    *,
    nodes: Callable[[], Sequence[CameraNode]] = cameras,
    source_of: Callable[..., FrameSource | None] = source_from,
    format_of: Callable[[Path], VideoFormat | None] = query_format,
    held_by: Callable[[Path], Sequence[Process]] = holders,
    may_open: Callable[[], Access] = access,
) -> Iterator[Finding]:
    """The camera that a run would take; or the file, where one stands in for it.

    Args:
        setup: which camera.
        nodes: the cameras of this machine.
        source_of: makes the source that the settings name.
        format_of: what a camera sends.
        held_by: who has a device open.
        may_open: which devices this user may open.
    """
    camera = setup.settings.camera
    allowed = may_open()
    if allowed.closed:
        yield _closed(allowed)
    here = list(nodes())
    if busy := _busy(camera.source, here, held_by):
        yield from busy
        return
    try:
        source = source_of(
            camera.source,
            width_px=camera.width_px,
            height_px=camera.height_px,
            frames_per_second=camera.frames_per_second,
        )
    except SourceError as error:
        yield _not_open(camera.source, str(error), error.mend)
        return
    if source is None:
        found = f"of {len(here)} cameras here none gives a picture" if here else "no camera is plugged in"
        yield _not_open(
            camera.source, found, "Plug one in (`ls -l /dev/v4l/by-id` lists them), or name a file in camera.source"
        )
        return
    yield from _pictures(setup, source, here, format_of)


def _closed(allowed: Access) -> Finding:
    shown = ", ".join(allowed.closed)
    if allowed.in_group_after_login:
        return _about.problem(
            "permission",
            f"{shown} may not be opened in this session",
            meaning=f"You are in the group {allowed.group} since after you logged in.",
            mend="Log out and in again",
        )
    return _about.problem(
        "permission",
        f"{shown} may not be opened by this user",
        meaning=f"It belongs to the group {allowed.group}.",
        mend=join_group(allowed.group),
    )


def _busy(source: str, here: Sequence[CameraNode], held_by: Callable[[Path], Sequence[Process]]) -> list[Finding]:
    """Who has the cameras that are meant; empty where one of them is free."""
    meant = [node for node in here if source == AUTO or source in _names(node) or _leads_to(source, node)]
    held = [(node, process) for node in meant for process in held_by(node.path)[:1]]
    return [_held(node, process) for node, process in held] if len(held) == len(meant) else []


def _names(node: CameraNode) -> tuple[str, ...]:
    """All that the config may call it."""
    number = node.path.name.removeprefix("video")
    return (str(node.path), number) + (() if node.by_id is None else (str(node.by_id), node.by_id.name))


def _leads_to(source: str, node: CameraNode) -> bool:
    """Whether it is another link to the node, such as the installer's /dev/emomusic-camera."""
    return source.startswith("/") and os.path.realpath(source) == os.path.realpath(node.path)


def _held(node: CameraNode, process: Process) -> Finding:
    device = str(node.device)
    if process.of_run:
        found = f"{device} is in the hands of a run of this program (process {process.pid}); it was not tried"
        return _about.ok("opens", found, device=device, pid=process.pid)
    return _about.problem(
        "opens",
        f"{device} is in use by {process.program} (process {process.pid})",
        meaning="A camera gives pictures to one program at a time.",
        mend=f"`kill {process.pid}` ends that program",
        device=device,
        pid=process.pid,
    )


def _not_open(wanted: str, found: str, mend: str) -> Finding:
    meaning = "No run starts with camera.source = auto and no camera." if wanted == AUTO else _WAITED_FOR
    return _about.problem("opens", found.rstrip("."), meaning=meaning, mend=mend)


def _name(wanted: str, name: str, here: Sequence[CameraNode]) -> Finding:
    """Whether the camera will be found again after it was plugged out and in."""
    node = next((node for node in here if name in (str(node.path), str(node.by_id)) or _leads_to(name, node)), None)
    stable = node.by_id.name if node is not None and node.by_id is not None else None
    if wanted == AUTO and len(here) > 1:
        found = f"it is {name}, the first of {len(here)} cameras that works"
        return _may_change(found, "Which one is first may change with the next start.", stable)
    if wanted == AUTO or name.startswith(f"{BY_ID}/"):
        return _about.ok("name", "it is found again after a replug", stable_name=stable)
    if node is not None and name != str(node.path):
        return _linked(name, node, here, stable)
    if stable is not None:
        found = f"{name} is a number, which may be another one after the next plug or start"
        return _may_change(found, "The run would then wait for a camera that is there under another number.", stable)
    return _about.ok("name", f"it tells no name that stays; {name} is as good as any", stable_name=None)


def _linked(name: str, node: CameraNode, here: Sequence[CameraNode], stable: str | None) -> Finding:
    """A camera under a link of its own."""
    if name == CAMERA and len(here) > 1:
        found = f"{name} is {node.path}, the one of {len(here)} cameras that was plugged in last"
        return _may_change(found, "Which one that is may change with the next plug or start.", stable)
    found = f"{name} leads to {node.path}, and is found again after a replug"
    return _about.ok("name", found, stable_name=stable)


def _may_change(found: str, meaning: str, stable: str | None) -> Finding:
    """A camera under a name that does not stay."""
    mend = f'Set camera.source = "{stable}"' if stable else "Name one in camera.source: ls -l /dev/v4l/by-id"
    return _about.warning("name", found, meaning=meaning, mend=mend, stable_name=stable)


def _pictures(
    setup: Setup,
    source: FrameSource,
    here: Sequence[CameraNode],
    format_of: Callable[[Path], VideoFormat | None],
) -> Iterator[Finding]:
    wanted, form = setup.settings.camera.source, None
    try:
        with contextlib.closing(source):
            source.open()
            times_s, last = _read(source)
            if source.live:
                form = format_of(Path(source.name))
    except EmomusicError as error:
        yield _not_open(wanted, str(error), error.mend)
        return
    if last is None:
        yield _not_open(wanted, f"{source.name} opens but gives no picture", "Unplug it and plug it in again")
        return
    height_px, width_px = last.image.shape[:2]
    shown = f"{width_px} x {height_px}" + (f" as {form.pixels}" if form is not None else "")
    yield _about.ok(
        "opens",
        f"{source.name} {'opens' if source.live else 'is a file and decodes'}, {shown}",
        width_px=width_px,
        height_px=height_px,
        format=form.pixels if form is not None else None,
    )
    if not source.live:
        return
    yield _name(wanted, source.name, here)
    yield _rate(setup, times_s, form)
    if int(last.image.max()) <= _BLACK:
        yield _about.warning(
            "picture",
            "the picture is black",
            meaning="Is the lens covered, or the room dark? Nothing can be estimated from it.",
            mend="Open the camera's cover, or make light",
        )


def _read(source: FrameSource) -> tuple[list[float], Frame | None]:
    """Pictures of about two seconds, of a file one: when each was taken, and the last one."""
    times_s: list[float] = []
    last = None
    while len(times_s) < _MOST_FRAMES and (frame := source.read()) is not None:
        last = frame
        times_s.append(frame.captured_at_s)
        if not source.live or times_s[-1] - times_s[0] >= _MEASURED_S:
            break
    return times_s, last


def _rate(setup: Setup, times_s: Sequence[float], form: VideoFormat | None) -> Finding:
    # The first picture comes when the camera has started; the rate is that of those after it.
    timed = times_s[1:]
    span_s = timed[-1] - timed[0] if timed else 0.0
    if span_s <= 0:
        return _about.warning(
            "rate",
            f"fewer than two pictures in {_MEASURED_S:g} s",
            meaning="How somebody feels is hard to follow at that rate.",
            mend="Take another USB port or cable, without a hub between",
            frames_per_second=None,
        )
    rate = (len(timed) - 1) / span_s
    asked = setup.settings.loop.frames_per_second
    shown = f"{rate:.1f} pictures a second"
    if rate >= asked * _NEAR_ENOUGH:
        return _about.ok("rate", shown, frames_per_second=round(rate, 2))
    raw = form is not None and form.pixels == "YUYV"
    return _about.warning(
        "rate",
        f"{shown}; {asked:g} are asked for (loop.frames_per_second)",
        meaning="This camera sends large pictures uncompressed, which takes all of the USB line."
        if raw
        else "Most cameras expose for longer in a dark room. It works, only the music follows later.",
        mend="Set camera.width_px = 640 and camera.height_px = 480" if raw else "Make more light, and look again",
        frames_per_second=round(rate, 2),
    )
