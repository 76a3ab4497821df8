"""The `credentials` command: a signed-in user's ID token for temporary AWS credentials.

`--format process` is what the AWS CLI's `credential_process` reads, so that a profile can be a user of the
pool. Invariant: stdout carries the credentials and nothing else; they are kept nowhere.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from gateway.aws.identity_pool import Credentials, IdentityPool, role_of
from gateway.commands.console import first_line
from gateway.commands.token import TokenRequest, address_of, obtain
from gateway.config.load import load
from gateway.errors import GatewayError
from gateway.terminal import waiting_for

Format = Literal["env", "json", "process"]


@dataclass(frozen=True, slots=True)
class CredentialsRequest:
    """`token`: how to sign in. `id_token_file` None: by signing in."""

    token: TokenRequest
    identity_pool_id: str | None
    id_token_file: Path | None
    output: Format
    # Name or ARN of one of the user's roles; None: the identity pool chooses.
    role: str | None = None


def credentials_command(request: CredentialsRequest) -> int:
    """Prints the credentials and returns 0; raises GatewayError."""
    address = address_of(request.token)
    pool_id = request.identity_pool_id or _configured(request.token, address.user_pool_id)
    if request.id_token_file is not None:
        id_token = first_line(request.id_token_file, "--id-token-file")
    else:
        id_token = obtain(request.token, address).id
    pool = IdentityPool(
        pool_id,
        address.user_pool_id,
        endpoint_url=address.endpoint_url,
        egress=address.egress,
        waiting=waiting_for,
    )
    role = None if request.role is None else role_of(id_token, request.role)
    sys.stdout.write(rendered(pool.credentials(id_token, role), request.output))
    return 0


def _configured(request: TokenRequest, user_pool_id: str) -> str:
    if request.config_path is not None:
        config = load(request.config_path, request.environ).config
        for pool in config.cognito.user_pools:
            if pool.id == user_pool_id and pool.identity_pool_id is not None:
                return pool.identity_pool_id
    raise GatewayError(
        "credentials: which identity pool? name it with --identity-pool-id, or as identity_pool_id of the "
        "user pool in the configuration"
    )


def rendered(given: Credentials, output: Format) -> str:
    """For a shell (`eval`), for machines, or for the AWS CLI (its user guide, "Sourcing credentials with an
    external process")."""
    if output == "env":
        return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in _environment(given).items())
    answer: dict[str, object] = {
        "AccessKeyId": given.access_key_id,
        "SecretAccessKey": given.secret_access_key,
        "SessionToken": given.session_token,
        "Expiration": datetime.fromtimestamp(given.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if output == "process":
        return json.dumps({"Version": 1, **answer}) + "\n"
    return json.dumps({**answer, "IdentityId": given.identity_id}, indent=2) + "\n"


def _environment(given: Credentials) -> Mapping[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": given.access_key_id,
        "AWS_SECRET_ACCESS_KEY": given.secret_access_key,
        "AWS_SESSION_TOKEN": given.session_token,
    }
