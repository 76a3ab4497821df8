"""Insertion of IDs into an existing configuration file, preserving comments, order and everything else.

It uses ruamel.yaml, because PyYAML loses comments. Invariant: the file is replaced atomically or not at all,
and only by one that the loader accepts.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from gateway.config.load import load
from gateway.errors import ConfigurationError, GatewayError, system_said

# The ID in config/gateway.minimal.yaml: a copy of that file is there to be filled in.
_EXAMPLE_POOL = "ap-south-1_AbCdEfGhI"
# YAML 1.2.2 section 9.1.2: comments, then the marker of a document's start.
_START = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*---[ \t]*(?:#[^\n]*)?\n")


@dataclass(frozen=True, slots=True)
class PoolIds:
    """The values to set for one user pool; None leaves a key unchanged."""

    pool_id: str
    client_id: str
    identity_pool_id: str | None = None
    domain: str | None = None
    endpoint_url: str | None = None


def with_pool(text: str, ids: PoolIds) -> str:
    """Return the configuration's text with this pool. Pure. Raises ValueError if it is not a YAML mapping."""
    head, body = _parted(text)
    yaml, out = _yaml(), io.StringIO()
    try:
        document = yaml.load(body)
    except YAMLError as error:
        raise ValueError(str(error).partition("\n")[0]) from None
    if document is None:
        # There may be comments only.
        head, document = _ended(text), CommentedMap()
    if not isinstance(document, CommentedMap):
        raise ValueError("it is not a mapping")  # noqa: TRY004 - about the text, not an argument
    yaml.dump(_put(document, ids), out)
    return head + _ended(out.getvalue())


def _parted(text: str) -> tuple[str, str]:
    """Split the text after the line `---`: ruamel.yaml drops comments before it."""
    start = _START.match(text)
    return ("", text) if start is None else (start.group(), text[start.end() :])


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def check_writable(path: Path) -> None:
    """Check that `write_pool` can work, before IDs exist that could be lost. Raises GatewayError."""
    _with_pool_of(path, PoolIds(_EXAMPLE_POOL, "example"))
    if not path.parent.is_dir():
        raise GatewayError(
            f"{path}: cannot be written (no such folder): create {path.parent} first (mkdir -p)"
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise GatewayError(
            f"{path}: cannot be written (not writable by this user): name another file with --write"
        )


def write_pool(path: Path, ids: PoolIds, environ: Mapping[str, str]) -> bool:
    """Put the pool into this file, creating it if needed; return whether it changed.

    Raises GatewayError.
    """
    before, after = _with_pool_of(path, ids)
    if after == before:
        return False
    _replace(path, after, environ)
    return True


def _with_pool_of(path: Path, ids: PoolIds) -> tuple[str, str]:
    """Return the file's text, and the same with the pool."""
    try:
        before = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        before = ""
    except (OSError, UnicodeDecodeError) as error:
        raise GatewayError(f"{path}: cannot be read ({error}): name another file with --write") from None
    try:
        return before, with_pool(before, ids)
    except ValueError as error:
        raise GatewayError(f"{path}: cannot be changed, {error}: fix it, or name another file") from None


def _put(document: CommentedMap, ids: PoolIds) -> CommentedMap:
    cognito = _section(document, "cognito", CommentedMap)
    if ids.endpoint_url is not None and cognito.get("endpoint_url") is None:
        cognito.pop("endpoint_url", None)
        cognito.insert(0, "endpoint_url", ids.endpoint_url)
    pools = _section(cognito, "user_pools", CommentedSeq)
    pool = _pool(pools, ids.pool_id)
    pool["id"] = ids.pool_id
    clients = _section(pool, "client_ids", CommentedSeq)
    if ids.client_id not in clients:
        clients.append(ids.client_id)
    for name in ("identity_pool_id", "domain"):
        value = getattr(ids, name)
        if value is not None:
            pool[name] = value
    if ids.domain is not None:
        # A domain alone changes nothing: managed login is asked for with it.
        sign_in = _section(document, "sign_in", CommentedMap)
        if not sign_in.get("providers"):
            sign_in.setdefault("pages", "managed")
    return document


def _pool(pools: CommentedSeq, pool_id: str) -> CommentedMap:
    for pool in pools:
        if isinstance(pool, CommentedMap) and pool.get("id") in {pool_id, _EXAMPLE_POOL}:
            if pool["id"] == _EXAMPLE_POOL != pool_id:
                # The example's client belongs to nobody.
                pool.pop("client_ids", None)
            return pool
    added = CommentedMap()
    pools.append(added)
    return added


def _section(parent: CommentedMap, name: str, kind: type[Any]) -> Any:
    """Return the member of this name and kind, created if absent, null or an empty list in brackets."""
    found = parent.get(name)
    if not isinstance(found, kind) or not found:
        if found:
            raise ValueError(f"{name} has the wrong type")
        found = parent[name] = kind()
        if name == "client_ids":
            found.fa.set_flow_style()
    return found


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    # Existing lines are never folded.
    yaml.width = 10_000
    return yaml


def _replace(path: Path, text: str, environ: Mapping[str, str]) -> None:
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        if path.exists():
            beside.chmod(path.stat().st_mode & 0o777)
        load(beside, environ)
        beside.replace(path)
    except ConfigurationError as error:
        raise GatewayError(
            f"{path}: unchanged, because it would not be valid with the new IDs:\n"
            + str(error).replace(str(beside), str(path))
        ) from None
    except OSError as error:
        raise GatewayError(f"{path}: cannot be written: {system_said(error)}") from None
    finally:
        beside.unlink(missing_ok=True)
