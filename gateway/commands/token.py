"""The `token` command: signs in, answers Cognito's challenges at the terminal, prints only the token."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from gateway.commands.support.flag_parser import Parser
from gateway.commands.support.flags import Environ
from gateway.commands.support.signing_in import address_of, obtain, sign_in_flags, sign_in_request

if TYPE_CHECKING:
    from gateway.aws.values import Tokens

EXAMPLE = "token --username alice --header"


def add_flags(parser: Parser) -> None:
    output = parser.add_mutually_exclusive_group()
    for name, shown in (
        ("id", "print the ID token"),
        ("json", "print the whole response as JSON"),
        ("header", "print a complete Authorization header"),
    ):
        output.add_argument(f"--{name}", dest="output", action="store_const", const=name, help=shown)
    parser.set_defaults(output="access")
    sign_in_flags(parser)


def run(arguments: argparse.Namespace, environ: Environ) -> int:
    """Print the token; return 0. Raises GatewayError."""
    # Only JSON output includes the refresh token.
    request = sign_in_request("token", arguments, environ, renewable=arguments.output == "json")
    tokens = obtain(request, address_of(request))
    sys.stdout.write(_render(tokens, arguments.output) + "\n")
    return 0


def _render(tokens: Tokens, output: str) -> str:
    if output == "access":
        return tokens.access
    if output == "id":
        return tokens.id
    if output == "header":
        return f"Authorization: Bearer {tokens.access}"
    # The members of the API's AuthenticationResult.
    return json.dumps(
        {
            "AccessToken": tokens.access,
            "IdToken": tokens.id,
            "RefreshToken": tokens.refresh,
            "ExpiresIn": tokens.expires_in,
            "TokenType": "Bearer",
            **({"DeviceKey": tokens.device_key} if tokens.device_key else {}),
        },
        indent=2,
    )
