"""The process that modelopt runs in: `python autocast_worker.py JOB.json`.

Run by its path with modelopt's packages first on the import path: so it imports nothing of emomusic_edge, whose onnx
and onnxruntime are others. The job names `model`, `calibration` (a folder of .npz, one a picture), `target`, and the
`nodes` and `operators` that stay fp32.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path


def main() -> None:
    """Do the job."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))

    import onnx
    from modelopt.onnx.autocast import convert_to_mixed_precision

    model = convert_to_mixed_precision(
        job["model"],
        low_precision_type="fp16",
        nodes_to_exclude=[f"{re.escape(name)}$" for name in job["nodes"]],
        op_types_to_exclude=job["operators"],
        keep_io_types=True,
        calibration_data=job["calibration"],
        providers=["cpu"],
        opset=job["opset"],
    )
    onnx.save(model, job["target"])


if __name__ == "__main__":
    main()
