"""Gives the loop its frames: always the newest in real time, or every n-th of a file as fast as the loop can."""

from .fast_frames import FastFrames
from .feed import FrameFeed
from .latest_frame import LatestFrameCapture
from .picture_watch import PictureWatch

__all__ = ["FastFrames", "FrameFeed", "LatestFrameCapture", "PictureWatch"]
