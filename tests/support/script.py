"""One run of the console script."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from gateway.config.generate import ROOT

SCRIPT = Path(sys.executable).parent / "cognito-gateway"


def run(
    *arguments: str | Path,
    cwd: Path = ROOT,
    environ: Mapping[str, str] | None = None,
    given: str = "",
) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COGNITO_GATEWAY_")}
    return subprocess.run(
        [SCRIPT, *arguments],
        cwd=cwd,
        env={**kept, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        input=given,
    )
