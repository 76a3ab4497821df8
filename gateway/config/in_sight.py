"""Detection of AWS credentials without boto3, which costs half a second and 30 MiB.

Called when a configuration is loaded. Invariant: "no" only means that finding out would cost something: only
boto3 can detect an instance profile.
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
    """Return whether AWS credentials are configured.

    Always for a local Cognito, which accepts any signature.
    """
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
