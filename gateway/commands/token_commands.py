"""token, credentials, explain: a token is got, exchanged or looked at."""

# ruff: noqa: PLC0415 - commands import what they need when they run

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.commands.adding import (
    Commands,
    Environ,
    Flags,
    aws_flags,
    config_flag,
    config_path,
    config_path_if_any,
    method,
)

if TYPE_CHECKING:
    from gateway.commands.token import Output, TokenRequest


def add(commands: Commands) -> None:
    _token_flags(
        commands.add("token", _token, "sign in and print the access token", "token --username alice --header")
    )
    _credentials_flags(
        commands.add(
            "credentials",
            _credentials,
            "exchange a user's ID token at the identity pool for temporary AWS credentials",
            "credentials --username alice --format env",
        )
    )
    _explain_flags(
        commands.add(
            "explain",
            _explain,
            "say of each check whether this token passes it, and why not",
            "explain - < token.txt",
        )
    )


def _token_flags(parser: Flags) -> None:
    output = parser.add_mutually_exclusive_group()
    for name, shown in (
        ("id", "print the ID token"),
        ("json", "print the whole answer as JSON"),
        ("header", "print a ready Authorization header"),
    ):
        output.add_argument(f"--{name}", dest="output", action="store_const", const=name, help=shown)
    parser.set_defaults(output="access")
    _sign_in_flags(parser)


def _credentials_flags(parser: Flags) -> None:
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
        help="instead of signing in: a file that holds an ID token",
    )
    _sign_in_flags(parser)


def _sign_in_flags(parser: Flags) -> None:
    parser.add_argument("--username", metavar="U", help="default: asked for")
    parser.add_argument(
        "--flow",
        choices=("admin", "password", "srp", "choice"),
        default="password",
        help="password: as any user; choice: Cognito offers what to sign in with; "
        "srp: the password is proved, not sent; admin: with AWS credentials "
        "(default: password)",
    )
    parser.add_argument(
        "--cache",
        dest="keep",
        action="store_true",
        help="keep the tokens (mode 0600, in $XDG_STATE_HOME) and take them from there while they last",
    )
    parser.add_argument(
        "--refresh", action="store_true", help="new tokens for the kept refresh token; with --cache implied"
    )
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="default: prompt, or standard input"
    )
    parser.add_argument(
        "--attributes-file",
        type=Path,
        metavar="FILE",
        help="JSON, attribute to value, for what Cognito asks with a new password (default: asked for)",
    )
    parser.add_argument("--user-pool-id", metavar="ID", help="default: the configuration's first pool")
    parser.add_argument("--client-id", metavar="ID", help="default: that pool's first client")
    aws_flags(parser, profile_for=", for --flow admin")
    config_flag(parser)


def _token(arguments: argparse.Namespace, environ: Environ) -> int:
    from gateway.commands.token import token_command

    return token_command(_token_request(arguments, environ, arguments.output))


def _credentials(arguments: argparse.Namespace, environ: Environ) -> int:
    from gateway.commands.credentials import CredentialsRequest, credentials_command

    return credentials_command(
        CredentialsRequest(
            token=replace(
                _token_request(arguments, environ, "id"),
                command="credentials",
                at_terminal=arguments.output == "process",
            ),
            identity_pool_id=arguments.identity_pool_id,
            id_token_file=arguments.id_token_file,
            output=arguments.output,
            role=arguments.role,
        )
    )


def _token_request(arguments: argparse.Namespace, environ: Environ, output: Output) -> TokenRequest:
    from gateway.commands.token import TokenRequest

    return TokenRequest(
        config_path=config_path_if_any(arguments, environ),
        username=arguments.username,
        flow=arguments.flow,
        output=output,
        password_file=arguments.password_file,
        user_pool_id=arguments.user_pool_id,
        client_id=arguments.client_id,
        region=arguments.region,
        profile=arguments.profile,
        endpoint_url=arguments.endpoint_url,
        keep=arguments.keep or arguments.refresh,
        attributes_file=arguments.attributes_file,
        refresh=arguments.refresh,
        environ=environ,
    )


def _explain_flags(parser: Flags) -> None:
    parser.add_argument(
        "token",
        nargs="?",
        metavar="TOKEN|-",
        help="default, and with -: standard input, which keeps it out of the shell's history",
    )
    parser.add_argument("--path", help="say too which route decides over a request for this path, and what")
    parser.add_argument("--method", type=method, default="GET", help="of that request (default: GET)")
    parser.add_argument("--json", action="store_true", help="for machines")
    config_flag(parser, positional=False)


def _explain(arguments: argparse.Namespace, environ: Environ) -> int:
    from gateway.commands.explain import ExplainRequest, explain_command

    return explain_command(
        ExplainRequest(
            config_path=config_path(arguments, environ),
            token=arguments.token,
            method=arguments.method,
            target=arguments.path,
            as_json=arguments.json,
            environ=environ,
        )
    )
