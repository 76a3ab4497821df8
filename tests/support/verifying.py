"""A configuration for verification only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from gateway.config.load import load
from gateway.config.model import Config


def config_of(folder: Path, *pools: Mapping[str, object], leeway: str = "0s") -> Config:
    path = folder / "gateway.yaml"
    # JSON is YAML.
    path.write_text(json.dumps({"cognito": {"user_pools": pools, "clock_leeway": leeway}}))
    return load(path, {}).config
