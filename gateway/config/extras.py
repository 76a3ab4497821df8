"""Optional dependencies: which ones a configuration needs, which are missing, how to install them.

Invariant: the install command works where this program runs: it names the packages themselves, from the
metadata of this installation, and never a distribution that another party could publish.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from typing import Any, Final, Literal, TypeAlias

from gateway.config.model import Config

Extra: TypeAlias = Literal["redis", "grpc", "tracing"]

_DISTRIBUTION: Final = "cognito-gateway"
# The modules that must be importable.
_PACKAGES: Mapping[Extra, tuple[str, ...]] = {
    "redis": ("redis",),
    "grpc": ("grpc", "google.protobuf"),
    "tracing": ("opentelemetry", "opentelemetry.sdk"),
}


def not_installed(extra: Extra, package: str | None = None) -> str:
    """Return a sentence that names the missing package and the command that installs it."""
    return f"{package or _PACKAGES[extra][0]} is not installed: {install_command(extra)}"


def install_command(extra: Extra) -> str:
    """Return a shell command: this interpreter's pip with the extra's packages."""
    try:
        listed = requires(_DISTRIBUTION) or []
    except PackageNotFoundError:  # run from a folder without being installed
        listed = []
    marker = f'extra == "{extra}"'
    wanted = [line.partition(";")[0].strip() for line in listed if marker in line.replace("'", '"')]
    return shlex.join([sys.executable, "-m", "pip", "install", *(wanted or _PACKAGES[extra])])


def missing_extras(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the key that needs an extra, and what to do, for each extra that is not installed."""
    for key, extra in _needed(config):
        absent = next((package for package in _PACKAGES[extra] if not _is_there(package)), None)
        if absent is not None:
            yield key, f"needs a package: {not_installed(extra, absent)}"


def _needed(config: Config) -> Iterator[tuple[str, Extra]]:
    session: Any = config.sign_in.session
    if config.sign_in.enabled and session.redis_url is not None and session.store != "memory":
        yield "sign_in.session.redis_url", "redis"
    if config.rate_limit.redis_url is not None:
        yield "rate_limit.redis_url", "redis"
    if config.cognito.revocation.check_every is not None and config.cognito.revocation.redis_url is not None:
        yield "cognito.revocation.redis_url", "redis"
    if config.ext_authz.grpc_address is not None:
        yield "ext_authz.grpc_address", "grpc"
    if config.tracing is not None:
        yield "tracing", "tracing"


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # its parent is missing
        return False
