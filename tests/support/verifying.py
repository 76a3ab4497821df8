"""A configuration for verification only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.config.load import load
from gateway.config.model import Config
from gateway.tokens.cache import TokenCache
from gateway.tokens.jwk import VerificationKey
from gateway.tokens.principal import Principal


def config_of(folder: Path, *pools: Mapping[str, object], leeway: str = "0s") -> Config:
    path = folder / "gateway.yaml"
    # JSON is YAML.
    path.write_text(json.dumps({"cognito": {"user_pools": pools, "clock_leeway": leeway}}))
    return load(path, {}).config


def cache_of(key: Callable[[str, str], VerificationKey | None]) -> TokenCache[Principal]:
    """Return a cache of tokens verified by these keys, with room for all of a test's."""
    return TokenCache(key, max_size=16 * 1024 * 1024)
