"""Starts two stub workers, prints their pids, has one of them hang, and waits to be ended."""

from __future__ import annotations

import contextlib
import signal
import sys
from pathlib import Path

from side_by_side.worker_process import WorkerProcess

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stub, folder = Path(__file__).with_name("stub_peer.py"), Path(sys.argv[1])
    with contextlib.ExitStack() as started, contextlib.suppress(KeyboardInterrupt):
        workers = [WorkerProcess(n, [sys.executable, str(stub), "well"], folder / f"{n}.log") for n in ("one", "two")]
        for worker in workers:
            started.callback(worker.close)
            worker.load()
        sys.stdout.write(" ".join(str(worker.pid) for worker in workers) + "\n")
        sys.stdout.flush()
        workers[0].run("hangs", 1)
