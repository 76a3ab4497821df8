"""Whether AWS credentials are in sight, without boto3, which costs half a second and 30 MiB.

Looked at where a configuration is loaded. Invariant: a no means only that a look would cost something: an
instance profile shows itself to boto3 alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from gateway.config.addresses import is_loopback

# AWS SDKs and tools reference guide, "Standardized credential providers".
_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)
_FILES = {"AWS_SHARED_CREDENTIALS_FILE": "credentials", "AWS_CONFIG_FILE": "config"}


def credentials_in_sight(environ: Mapping[str, str], endpoint_url: str | None) -> bool:
    """Also for a local Cognito, which believes every signature."""
    if endpoint_url is not None and is_loopback(urlsplit(endpoint_url).hostname or ""):
        return True
    if any(environ.get(name) for name in _VARIABLES):
        return True
    home = environ.get("HOME")
    files = [environ.get(name) or (home and f"{home}/.aws/{usual}") for name, usual in _FILES.items()]
    return any(file and _is_there(Path(file)) for file in files)


def _is_there(file: Path) -> bool:
    try:
        return file.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False
