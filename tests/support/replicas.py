"""Configurations of gateways that share sessions."""

from __future__ import annotations

from pathlib import Path

from tests.support.redis_server import RedisServer


def shared(redis: RedisServer, store: str = "redis") -> str:
    return f"sign_in: {{session: {{store: {store}, redis_url: '{redis.url}'}}}}\n"


def secret_in(folder: Path, yaml: str) -> str:
    (folder / "keys").write_text("k" * 43 + "\n")
    return yaml.replace("{store", f"{{secret_file: {folder}/keys, store")
