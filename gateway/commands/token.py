"""The `token` command: sign in, answer what Cognito asks on the terminal, print the token and nothing else.

Invariant: a password comes from a prompt, from stdin or from a file, never from an argument; stdout carries
only what was asked for, prompts go to the terminal.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from gateway.aws.cognito_client import CognitoClient
from gateway.aws.password_shape import possible
from gateway.aws.renewal import Renewal
from gateway.aws.user_pool import Challenge, CognitoRefused, Flow, PoolAddress, Tokens, UserPoolClient
from gateway.commands.answering import answer, read_attributes
from gateway.commands.console import Console, TerminalConsole, first_line
from gateway.commands.token_store import KeptTokens
from gateway.config.egress import egress_from
from gateway.config.load import load
from gateway.config.model import Config
from gateway.errors import GatewayError
from gateway.terminal import waiting_for

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
    # Keep the tokens in the user's state folder, and take them from there while they last.
    keep: bool = False
    # New tokens for the kept refresh token.
    refresh: bool = False
    # The command whose name stands before what goes wrong.
    command: str = "token"
    # Standard input is another program's: whatever must be asked is asked on the controlling terminal.
    at_terminal: bool = False
    # Values for attributes that Cognito asks for with a new password; None: asked for.
    attributes_file: Path | None = None
    # For ${NAME} in the configuration.
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def token_command(request: TokenRequest) -> int:
    """Prints the token and returns 0; raises GatewayError."""
    tokens = obtain(request, address_of(request))
    sys.stdout.write(_render(tokens, request.output) + "\n")
    return 0


def obtain(request: TokenRequest, address: PoolAddress) -> Tokens:
    """Kept tokens or renewed ones, where that is asked for, else by signing in. Raises GatewayError."""
    kept = KeptTokens.of(address, request.username, request.environ) if request.keep else None
    if kept is None:
        return _sign_in(address, request)
    tokens = None if request.refresh else kept.read(time.time())
    if tokens is None:
        tokens = _renewed(address, request, kept) or _sign_in(address, request)
        kept.write(tokens, time.time())
    return tokens


def _sign_in(address: PoolAddress, request: TokenRequest) -> Tokens:
    console = _console(request, address)
    if request.username is None and not console.interactive:
        raise GatewayError(f"{request.command}: no username: name one with --username")
    username = request.username or console.line("Username: ", "username")
    pool = UserPoolClient(address, request.flow, waiting_for)
    outcome = pool.sign_in(username, _password(request, console))
    attributes = {} if request.attributes_file is None else read_attributes(request.attributes_file)
    while isinstance(outcome, Challenge):
        outcome = answer(pool, outcome, console, attributes)
    # Tokens that nobody keeps are not renewed, and leave no device behind.
    keeps = request.keep or request.output == "json"
    return _with_device(pool, outcome, request.command) if keeps else outcome


def _with_device(pool: UserPoolClient, tokens: Tokens, command: str) -> Tokens:
    """In a pool that remembers devices, the tokens with the key of a confirmed one."""
    try:
        return pool.confirm_device(tokens)
    except GatewayError as error:
        sys.stderr.write(
            f"cognito-gateway: {command}: the device was not confirmed, so these tokens cannot be renewed: "
            f"{error}\n"
        )
        return tokens


def _console(request: TokenRequest, address: PoolAddress) -> Console:
    if not request.at_terminal:
        return Console(request.command)
    whose = f" of {request.username}" if request.username else ""
    return TerminalConsole(
        request.command, waits_for=f"the password{whose} (user pool {address.user_pool_id})"
    )


def _renewed(address: PoolAddress, request: TokenRequest, kept: KeptTokens) -> Tokens | None:
    """New tokens for the kept refresh token, without a password; None where that leads nowhere."""
    refresh = kept.refresh_token()
    if refresh is None:
        if request.refresh:
            raise GatewayError("no refresh token is kept: sign in once with --cache, then --refresh renews")
        return None
    try:
        renewal = Renewal(address, CognitoClient(address, "password", waiting_for))
        return renewal.renew(refresh, kept.internal_name(), kept.device_key())
    except CognitoRefused:
        # Signed out, or its time is over: a password is left, unless renewing was all that was wanted.
        if request.refresh:
            raise
        return None


def address_of(request: TokenRequest) -> PoolAddress:
    given = PoolAddress(
        user_pool_id=request.user_pool_id or "",
        client_id=request.client_id or "",
        region=request.region,
        profile=request.profile,
        endpoint_url=request.endpoint_url,
        egress=egress_from(request.environ),
    )
    if given.user_pool_id and given.client_id:
        return given
    if request.config_path is None:
        raise GatewayError("which user pool? name --user-pool-id and --client-id, or a --config")
    return _completed(given, load(request.config_path, request.environ).config, request.config_path)


def _completed(given: PoolAddress, config: Config, path: Path) -> PoolAddress:
    pools = config.cognito.user_pools if given.client_id else config.cognito.sign_in_pools
    if given.user_pool_id:
        pools = tuple(pool for pool in pools if pool.id == given.user_pool_id)
    elif given.client_id:
        pools = tuple(pool for pool in pools if given.client_id in pool.client_ids)
    if not pools:
        raise GatewayError(f"{path} has no such user pool: name --user-pool-id and --client-id")
    pool = pools[0]
    secret = pool.client_secret_file
    return replace(
        given,
        user_pool_id=pool.id,
        client_id=given.client_id or pool.client_ids[0],
        client_secret=pool.client_secret if secret is None else first_line(secret, "client_secret_file"),
        endpoint_url=given.endpoint_url or config.cognito.endpoint_url,
        egress=config.cognito.egress,
    )


def _password(request: TokenRequest, console: Console) -> str:
    if request.password_file is not None:
        return possible(first_line(request.password_file, "--password-file"), "password in --password-file")
    return possible(console.secret("Password: ", "password"), "password")


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
            **({"DeviceKey": tokens.device_key} if tokens.device_key else {}),
        },
        indent=2,
    )
