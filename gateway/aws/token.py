"""The `token` command: sign in, answer what Cognito asks on the terminal, print the token and nothing else.

Invariant: a password comes from a prompt, from stdin or from a file, never from an argument; stdout carries
only what was asked for, prompts go to the terminal.
"""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from gateway.aws.challenges import CODES, code_destination, new_password, required_attributes
from gateway.aws.user_pool import Challenge, Flow, PoolAddress, Tokens, UserPool
from gateway.config.load import load
from gateway.config.model import Config
from gateway.errors import GatewayError

Output = Literal["access", "id", "json", "header"]


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """The command's arguments. What is None comes from the configuration, or is asked for."""

    config_path: Path | None
    username: str | None
    flow: Flow
    output: Output
    password_file: Path | None
    user_pool_id: str | None
    client_id: str | None
    region: str | None
    profile: str | None
    endpoint_url: str | None
    # For ${NAME} in the configuration.
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def token_command(request: TokenRequest) -> int:
    """Prints the token and returns 0; raises GatewayError."""
    address = _address(request)
    terminal = sys.stdin.isatty()
    if request.username is None and not terminal:
        raise GatewayError("token: no username: name one with --username")
    username = request.username or _ask_line("Username: ")
    pool = UserPool(address, request.flow)
    outcome = pool.sign_in(username, _password(request, terminal=terminal))
    while isinstance(outcome, Challenge):
        outcome = pool.answer(outcome, _answers(outcome, request, terminal=terminal))
    sys.stdout.write(_render(outcome, request.output) + "\n")
    return 0


def _address(request: TokenRequest) -> PoolAddress:
    given = PoolAddress(
        user_pool_id=request.user_pool_id or "",
        client_id=request.client_id or "",
        region=request.region,
        profile=request.profile,
        endpoint_url=request.endpoint_url,
    )
    if given.user_pool_id and given.client_id:
        return given
    if request.config_path is None:
        raise GatewayError("token: which user pool? name --user-pool-id and --client-id, or a --config")
    return _completed(given, load(request.config_path, request.environ).config, request.config_path)


def _completed(given: PoolAddress, config: Config, path: Path) -> PoolAddress:
    pools = config.cognito.user_pools
    if given.user_pool_id:
        pools = tuple(pool for pool in pools if pool.id == given.user_pool_id)
    elif given.client_id:
        pools = tuple(pool for pool in pools if given.client_id in pool.client_ids)
    if not pools:
        raise GatewayError(f"token: {path} has no such user pool: name --user-pool-id and --client-id")
    pool = pools[0]
    secret = pool.client_secret_file
    return replace(
        given,
        user_pool_id=pool.id,
        client_id=given.client_id or pool.client_ids[0],
        client_secret=_first_line(secret, "client_secret_file") if secret is not None else None,
        endpoint_url=given.endpoint_url or config.cognito.endpoint_url,
    )


def _password(request: TokenRequest, *, terminal: bool) -> str:
    if request.password_file is not None:
        return _first_line(request.password_file, "--password-file")
    if terminal:
        return _ask_secret("Password: ")
    return _stdin_line("password")


def _answers(challenge: Challenge, request: TokenRequest, *, terminal: bool) -> dict[str, str]:
    if challenge.name in CODES:
        return {CODES[challenge.name]: _code(challenge, terminal=terminal)}
    if challenge.name != "NEW_PASSWORD_REQUIRED":
        raise GatewayError(f"token: Cognito asks for {challenge.name}, which this command cannot answer yet")
    password = _new_password(request, terminal=terminal)
    attributes = {}
    for name in required_attributes(challenge.parameters):
        if not terminal:
            raise GatewayError(
                f"token: Cognito asks for the attribute {name}: run this command on a terminal"
            )
        attributes[name] = _ask_line(f"{name}: ")
    return new_password(password, attributes)


def _code(challenge: Challenge, *, terminal: bool) -> str:
    if not terminal:
        # The line of stdin behind the password.
        return _stdin_line(f"code, which Cognito asks for ({challenge.name})")
    where = code_destination(challenge.parameters)
    return _ask_line(f"Code ({challenge.name}{', sent to ' + where if where else ''}): ")


def _new_password(request: TokenRequest, *, terminal: bool) -> str:
    if not terminal:
        # The second line of stdin, or the first when the old password came from a file.
        return _stdin_line("new password, which Cognito asks for")
    sys.stderr.write("Cognito asks for a new password.\n")
    password = _ask_secret("New password: ")
    if _ask_secret("Once more: ") != password:
        raise GatewayError("token: the two new passwords differ: nothing was changed")
    return password


def _ask_secret(prompt: str) -> str:
    try:
        return getpass.getpass(prompt, stream=sys.stderr)
    except EOFError:
        raise GatewayError("token: no password was given") from None


def _ask_line(prompt: str) -> str:
    sys.stderr.write(prompt)
    sys.stderr.flush()
    return _stdin_line(prompt.strip(": ").lower())


def _stdin_line(what: str) -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise GatewayError(f"token: stdin holds no {what}")
    return line


def _first_line(path: Path, name: str) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise GatewayError(f"token: {name} {path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise GatewayError(f"token: {name} {path}: is not UTF-8 text") from error
    line = text.partition("\n")[0].rstrip("\r")
    if not line:
        raise GatewayError(f"token: {name} {path}: the first line is empty")
    return line


def _render(tokens: Tokens, output: Output) -> str:
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
        },
        indent=2,
    )
