"""A worker that behaves as its first argument says; its folder of inputs is of no use to it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from peers.worker import Peer, serve


def _fails() -> None:
    raise RuntimeError("no such luck\nand more")


RUNS = {
    "quick": lambda: None,
    "fails": _fails,
    "dies": lambda: os._exit(3),
    "hangs": lambda: time.sleep(600),
    "prints": lambda: os.write(1, b"chatter of a library\n"),
}


def _load(folder: Path) -> Peer:
    if folder.name == "unloadable":
        raise ImportError("No module named 'peer'")
    return Peer("stub 1.0", RUNS, {"number": 7})


if __name__ == "__main__":
    if sys.argv[1] == "rubbish":
        os.write(1, b"Downloading weights\n")
        time.sleep(600)
    if sys.argv[1] == "stillborn":
        sys.exit("libgone.so.1: cannot open shared object file")
    serve(_load)
