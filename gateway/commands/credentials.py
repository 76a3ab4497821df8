"""The `credentials` command: exchanges a user's ID token for temporary AWS credentials.

`--format process` is the format of the AWS CLI's `credential_process`, so that a profile can stand for a user
of the pool. Invariant: stdout contains the credentials and nothing else; they are not stored.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.commands.support.console import first_line
from gateway.commands.support.flag_parser import Parser
from gateway.commands.support.flags import Environ
from gateway.commands.support.signing_in import (
    SignInRequest,
    address_of,
    obtain,
    sign_in_flags,
    sign_in_request,
)
from gateway.errors import GatewayError
from gateway.terminal import waiting_for

if TYPE_CHECKING:
    from gateway.aws.identity_pool import Credentials

EXAMPLE = "credentials --username alice --format env"


def add_flags(parser: Parser) -> None:
    parser.add_argument(
        "--format",
        dest="output",
        choices=("env", "json", "process"),
        default="json",
        help="env: for a shell's eval; process: for credential_process in ~/.aws/config (default: json)",
    )
    parser.add_argument("--identity-pool-id", metavar="ID", help="default: that of the configured user pool")
    parser.add_argument(
        "--role",
        metavar="ROLE",
        help="one of the user's roles (cognito:roles), by name or ARN (default: the identity pool chooses)",
    )
    parser.add_argument(
        "--id-token-file",
        type=Path,
        metavar="FILE",
        help="file with an ID token, instead of signing in",
    )
    sign_in_flags(parser)


def run(arguments: argparse.Namespace, environ: Environ) -> int:
    """Print the credentials; return 0. Raises GatewayError."""
    from gateway.aws.identity_pool import IdentityPool, role_of

    # The AWS CLI runs `credential_process` with the standard input of its own process.
    at_terminal = arguments.output == "process"
    request = sign_in_request("credentials", arguments, environ, at_terminal=at_terminal)
    address = address_of(request)
    pool_id = arguments.identity_pool_id or _configured(request, address.user_pool_id)
    if arguments.id_token_file is not None:
        id_token = first_line(arguments.id_token_file, "--id-token-file")
    else:
        id_token = obtain(request, address).id
    pool = IdentityPool(
        pool_id,
        address.user_pool_id,
        endpoint_url=address.endpoint_url,
        egress=address.egress,
        waiting=waiting_for,
    )
    role = None if arguments.role is None else role_of(id_token, arguments.role)
    with waiting_for("Cognito"):
        given = pool.credentials(id_token, role)
    sys.stdout.write(_render(given, arguments.output))
    return 0


def _configured(request: SignInRequest, user_pool_id: str) -> str:
    from gateway.config.load import load

    if request.config_path is not None:
        config = load(request.config_path, request.environ).config
        for pool in config.cognito.user_pools:
            if pool.id == user_pool_id and pool.identity_pool_id is not None:
                return pool.identity_pool_id
    raise GatewayError(
        "credentials: which identity pool? name it with --identity-pool-id, or as identity_pool_id of the "
        "user pool in the configuration"
    )


def _render(given: Credentials, output: str) -> str:
    """Return the output for a shell (`eval`), for programs, or for the AWS CLI (its user guide, "Sourcing
    credentials with an external process")."""
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
