"""Regeneration of the files derived from the schema: `python -m gateway.config.generate` (`make config`).

They are committed, for readers and editors; a test compares them with this module's output.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gateway.config.chart import with_names
from gateway.config.example import example
from gateway.config.reference import reference
from gateway.config.schema import json_schema

ROOT = Path(__file__).resolve().parents[2]


def generated() -> dict[str, str]:
    """Return file path below the checkout → text."""
    return {
        "config/gateway.schema.json": schema_text(),
        "config/gateway.example.yaml": example(),
        "docs/configuration.md": reference(),
        "helm/values.schema.json": with_names((ROOT / "helm/values.schema.json").read_text(encoding="utf-8")),
    }


def schema_text() -> str:
    """Return the JSON Schema as committed and as `config-schema` prints it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    for path, text in generated().items():
        (ROOT / path).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
