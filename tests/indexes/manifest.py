"""The evaluation documents and what is known of each, where they are present."""

import json
import os
from pathlib import Path
from typing import Any

DATA = Path(
    os.environ.get(
        "WAGGLE_EVAL_DATA", Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
    )
)
MANIFEST = DATA / "documents" / "manifest.jsonl"
CASES: list[dict[str, Any]] = (
    [json.loads(line) for line in MANIFEST.read_text(encoding="utf-8").splitlines()]
    if MANIFEST.exists()
    else []
)
