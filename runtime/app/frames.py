"""Builds where the frames come from: a camera, a file, a folder of pictures."""

from __future__ import annotations

import contextlib

from emomusic_edge.config import Settings
from emomusic_edge.errors import ConfigError, SourceError
from emomusic_edge.runtime.camera import source_from
from emomusic_edge.runtime.camera.looped import LoopedSource
from emomusic_edge.runtime.capture import FastFrames, FrameFeed, LatestFrameCapture, PictureWatch
from emomusic_edge.runtime.capture.camera_seams import Preparable


def feed_of(
    settings: Settings,
    unstarted: contextlib.ExitStack,
    *,
    fast: bool,
    loop: bool,
    waits: bool = False,
    closed: bool = False,
) -> tuple[str, FrameFeed, bool]:
    """The name of the source, the feed of its frames, and whether it is a camera.

    Args:
        settings: which source.
        unstarted: undoes, when the feed is not started after all, what was prepared for it.
        fast: a file as fast as possible.
        loop: a file over and over.
        waits: whether a camera that is not here yet is waited for, instead of an error.
        closed: whether a camera is to stay closed: none is then opened to see whether it works.

    Raises:
        SourceError: there is no camera.
        ConfigError: a camera was to be read fast.
    """
    camera = settings.camera
    source = source_from(
        camera.source,
        width_px=camera.width_px,
        height_px=camera.height_px,
        frames_per_second=camera.frames_per_second,
        seconds_per_picture=camera.seconds_per_picture,
        wait=closed or (waits and not fast),
    )
    if source is None:
        raise SourceError(
            "No camera on this machine gives a picture.",
            mend="Plug one in, or name a video or a folder of pictures: emomusic-edge run --source clip.mp4",
        )
    if loop:
        source = LoopedSource(source, frame_s=1.0 / camera.frames_per_second)
    if isinstance(source, Preparable) and not (fast or closed):
        # Beside the models: a third of a camera's start is another Python's imports.
        source.prepare()
        unstarted.callback(source.close)
    if not fast:
        feed = LatestFrameCapture(
            source, pace=not source.live, retry_s=camera.open_retry_s, watch=PictureWatch() if source.live else None
        )
        return source.name, feed, source.live
    if source.live:
        raise ConfigError(
            f"--fast reads a file as fast as it can; {source.name} is a camera.",
            mend="Leave --fast out, or name a file with --source.",
        )
    return source.name, FastFrames(source, settings.loop.frames_per_second), False
