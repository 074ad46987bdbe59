"""Coverage-guided fuzzing: `fuzz_atheris.py TARGET COUNT SEED CORPUS_FOLDER`, in an environment that has atheris.

The corpus begins with the good inputs and grows by what reaches code that nothing before it reached. Half of the new
inputs are libFuzzer's own, half come from fuzz_mutations. An input that is a fault ends the run with its traceback.
"""

from __future__ import annotations

import json
import logging
import random
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["emomusic_edge", "tomllib", "zipfile", "pickletools"]):
    from fuzz_mutations import mutated
    from fuzz_targets import TARGETS, Target

_MAX_BYTES = 64 * 1024


def fuzz(target: Target, count: int, seed: int, corpus: Path) -> None:
    """Give a target `count` inputs; atheris ends the process."""
    logging.disable(logging.CRITICAL)
    good = target.good()
    for number, data in enumerate(good):
        (corpus / f"good-{number}").write_bytes(data)
    folder = Path(tempfile.mkdtemp())
    told = {"inputs": 0, "accepted": 0}

    def give(data: bytes) -> None:
        told["inputs"] += 1
        told["accepted"] += target.accepts(data, folder)
        if told["inputs"] == count:
            sys.stdout.write(json.dumps({"target": target.name, **told, "corpus": len(list(corpus.iterdir()))}) + "\n")
            sys.stdout.flush()

    def change(data: bytes, most: int, drawn: int) -> bytes:
        draw = random.Random(drawn)
        if draw.random() < 0.5:
            return atheris.Mutate(data, most)
        return mutated(target, (data, *good) if draw.random() < 0.3 else (data,), draw)[:most]

    options = (
        f"-runs={count + len(good) + 2}",
        f"-seed={seed}",
        f"-max_len={_MAX_BYTES}",
        "-rss_limit_mb=4096",
        "-print_final_stats=1",
    )
    atheris.Setup([sys.argv[0], *options, str(corpus)], give, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz(TARGETS[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
