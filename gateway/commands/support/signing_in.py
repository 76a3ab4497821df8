"""Sign-in at a user pool from the terminal, for commands that need a user's tokens.

Invariant: a password comes from a prompt, stdin or a file, never from an argument; prompts go to the
terminal.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gateway.aws.password_shape import possible
from gateway.aws.values import Challenge, CognitoRefused, Flow, PoolAddress, Tokens
from gateway.commands.support.answering import answer, read_attributes
from gateway.commands.support.console import Console, TerminalConsole, first_line
from gateway.commands.support.flag_parser import Parser
from gateway.commands.support.flags import (
    Environ,
    account_flags,
    config_flag,
    config_path_if_any,
    duration,
    endpoint_flag,
    pool_flag,
    port,
)
from gateway.commands.support.token_store import KeptTokens
from gateway.config.egress import egress_from
from gateway.errors import GatewayError
from gateway.terminal import waiting_for

if TYPE_CHECKING:
    from gateway.aws.user_pool import UserPoolClient
    from gateway.config.model import Config, UserPool

# The default of --callback-port: registered by IANA for nothing that developers run.
_CALLBACK_PORT = 8765
# Seconds of --timeout by default: time to find one's phone.
_BROWSER_TIMEOUT = 600.0


def sign_in_flags(parser: Parser) -> None:
    """Add the flags that choose how and at which pool to sign in."""
    parser.add_argument("--username", metavar="U", help="default: prompt")
    parser.add_argument(
        "--flow",
        choices=("admin", "password", "srp", "choice", "browser"),
        default="password",
        help=(
            "password: send it to Cognito; srp: prove it without sending it; choice: Cognito "
            "offers the ways to sign in; admin: with AWS credentials; browser: at managed login, also for "
            "people without a password (default: password)"
        ),
    )
    browser_flags(parser)
    parser.add_argument(
        "--cache",
        dest="keep",
        action="store_true",
        help=("store the tokens (mode 0600, in $XDG_STATE_HOME) and reuse them while they are valid"),
    )
    parser.add_argument(
        "--refresh", action="store_true", help="get new tokens with the stored refresh token; implies --cache"
    )
    parser.add_argument(
        "--max-age",
        type=duration,
        metavar="TIME",
        help="with --cache, sign in again if the last sign-in is older, such as 5m (routes[].max_age)",
    )
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="default: prompt, or standard input"
    )
    parser.add_argument(
        "--attributes-file",
        type=Path,
        metavar="FILE",
        help=("JSON object of attributes that Cognito requires with a new password (default: prompt)"),
    )
    pool_flag(parser)
    parser.add_argument("--client-id", metavar="ID", help="default: that pool's first client")
    account_flags(parser, profile="AWS profile, for --flow admin")
    endpoint_flag(parser)
    config_flag(parser)


def browser_flags(parser: Parser) -> None:
    """Add the flags of --flow browser."""
    parser.add_argument(
        "--domain", metavar="URL", help="managed login, for --flow browser (default: the pool's domain)"
    )
    parser.add_argument(
        "--identity-provider", metavar="NAME", help="with --flow browser, sign in at this provider"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="with --flow browser, only print the address"
    )
    parser.add_argument(
        "--callback-port",
        type=port,
        metavar="N",
        default=_CALLBACK_PORT,
        help=(
            "with --flow browser, the browser returns to http://localhost:N/callback, which the app client "
            f"must allow (default: {_CALLBACK_PORT})"
        ),
    )
    parser.add_argument(
        "--timeout",
        type=duration,
        metavar="TIME",
        default=_BROWSER_TIMEOUT,
        help="with --flow browser, how long to wait for the browser (default: 10m)",
    )


@dataclass(frozen=True, slots=True)
class SignInRequest:
    """The options of a sign-in. None: from the configuration, or by a prompt."""

    # Prefix of error messages.
    command: str
    config_path: Path | None
    username: str | None
    flow: Flow | Literal["browser"]
    password_file: Path | None
    user_pool_id: str | None
    client_id: str | None
    region: str | None
    profile: str | None
    endpoint_url: str | None
    # Store the tokens in the user's state directory, and reuse them while they are valid.
    keep: bool = False
    # Renew the tokens with the stored refresh token.
    refresh: bool = False
    # Stored tokens of an older sign-in, in seconds, are neither used nor renewed.
    max_age: float | None = None
    # The refresh token will be used: in a pool that remembers devices, one must be confirmed.
    renewable: bool = False
    # Standard input belongs to another program: prompts go to the controlling terminal.
    at_terminal: bool = False
    # Values for attributes that a new password needs; None: by a prompt.
    attributes_file: Path | None = None
    # Of --flow browser; `domain` None: from the configuration.
    domain: str | None = None
    identity_provider: str | None = None
    opens_browser: bool = True
    callback_port: int = _CALLBACK_PORT
    timeout: float = _BROWSER_TIMEOUT
    # For ${NAME} in the configuration.
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def sign_in_request(
    command: str,
    arguments: argparse.Namespace,
    environ: Environ,
    *,
    renewable: bool = False,
    at_terminal: bool = False,
) -> SignInRequest:
    """Return the request from the flags of `sign_in_flags`; stored tokens are renewable."""
    keep = arguments.keep or arguments.refresh
    return SignInRequest(
        command=command,
        config_path=config_path_if_any(arguments, environ),
        username=arguments.username,
        flow=arguments.flow,
        password_file=arguments.password_file,
        user_pool_id=arguments.user_pool_id,
        client_id=arguments.client_id,
        region=arguments.region,
        profile=arguments.profile,
        endpoint_url=arguments.endpoint_url,
        keep=keep,
        refresh=arguments.refresh,
        max_age=arguments.max_age,
        renewable=keep or renewable,
        at_terminal=at_terminal,
        attributes_file=arguments.attributes_file,
        domain=arguments.domain,
        identity_provider=arguments.identity_provider,
        opens_browser=not arguments.no_browser,
        callback_port=arguments.callback_port,
        timeout=arguments.timeout,
        environ=environ,
    )


def obtain(request: SignInRequest, address: PoolAddress) -> Tokens:
    """Return stored or renewed tokens if requested, else those of a new sign-in.

    Raises GatewayError.
    """
    # A browser's user is known only afterwards.
    whose = request.username or ("(browser)" if request.flow == "browser" else None)
    kept = KeptTokens.of(address, whose, request.environ) if request.keep else None
    if kept is None:
        return _sign_in(address, request)
    now = time.time()
    # Renewing does not change when the user signed in.
    young = request.max_age is None or now - kept.signed_in_at() <= request.max_age
    tokens = kept.read(now) if young and not request.refresh else None
    if tokens is None:
        tokens = (_renewed(address, request, kept) if young else None) or _sign_in(address, request)
        kept.write(tokens, time.time())
    return tokens


def _sign_in(address: PoolAddress, request: SignInRequest) -> Tokens:
    if request.flow == "browser":
        return _sign_in_with_browser(address, request)
    from gateway.aws.user_pool import UserPoolClient

    console = _console(request, address)
    if request.username is None and not console.interactive:
        raise GatewayError(f"{request.command}: no username: name one with --username")
    username = request.username or console.line("Username: ", "username")
    pool = UserPoolClient(address, request.flow, waiting_for)
    password = _password(request, console)
    with waiting_for("Cognito"):
        outcome = pool.sign_in(username, password)
    attributes = {} if request.attributes_file is None else read_attributes(request.attributes_file)
    while isinstance(outcome, Challenge):
        outcome = answer(pool, outcome, console, attributes)
    # Tokens that are not stored are not renewed, and need no device.
    return _with_device(pool, outcome, request.command) if request.renewable else outcome


def _sign_in_with_browser(address: PoolAddress, request: SignInRequest) -> Tokens:
    from gateway.commands.support.browser_flow import BrowserSignIn, sign_in

    if request.password_file is not None:
        raise GatewayError(f"{request.command}: --password-file has no use with --flow browser: remove it")
    pool = _configured(address, request)
    domain = request.domain or (None if pool is None else pool.domain)
    if domain is None:
        raise GatewayError(
            f"{request.command}: --flow browser needs managed login: pass --domain URL, or set the user "
            "pool's domain in the configuration"
        )
    audiences = () if pool is None else pool.audiences
    asked = BrowserSignIn(
        domain=domain,
        port=request.callback_port,
        patience=request.timeout,
        opens=request.opens_browser,
        identity_provider=request.identity_provider,
        username=request.username,
        # As at the gateway's own managed login.
        resource=audiences[0] if len(audiences) == 1 else None,
        max_age=request.max_age,
        environ=request.environ,
    )
    return sign_in(address, asked, request.command)


def _configured(address: PoolAddress, request: SignInRequest) -> UserPool | None:
    """Return the pool in the configuration; None if there is no configuration, or not this pool in it."""
    from gateway.config.load import load

    if request.config_path is None:
        return None
    pools = load(request.config_path, request.environ).config.cognito.user_pools
    return next((pool for pool in pools if pool.id == address.user_pool_id), None)


def _with_device(pool: UserPoolClient, tokens: Tokens, command: str) -> Tokens:
    """Confirm a device in a pool that remembers devices; return the tokens with its key."""
    try:
        return pool.confirm_device(tokens)
    except GatewayError as error:
        sys.stderr.write(
            f"cognito-gateway: {command}: the device was not confirmed, so these tokens cannot be renewed: "
            f"{error}\n"
        )
        return tokens


def _console(request: SignInRequest, address: PoolAddress) -> Console:
    if not request.at_terminal:
        return Console(request.command)
    whose = f" of {request.username}" if request.username else ""
    return TerminalConsole(
        request.command, waits_for=f"the password{whose} (user pool {address.user_pool_id})"
    )


def _renewed(address: PoolAddress, request: SignInRequest, kept: KeptTokens) -> Tokens | None:
    """Renew the tokens with the stored refresh token; None if that is not possible."""
    from gateway.aws.cognito_client import CognitoClient
    from gateway.aws.renewal import Renewal

    refresh = kept.refresh_token()
    if refresh is None:
        if request.refresh:
            raise GatewayError("no refresh token is stored: sign in once with --cache, then use --refresh")
        return None
    try:
        renewal = Renewal(address, CognitoClient(address, "password", waiting_for))
        return renewal.renew(refresh, kept.internal_name(), kept.device_key())
    except CognitoRefused:
        # Signed out or expired: sign in with the password, unless only a renewal was requested.
        if request.refresh:
            raise
        return None


def address_of(request: SignInRequest) -> PoolAddress:
    """Return the pool and client from the flags, or from the configuration. Raises GatewayError."""
    from gateway.config.load import load

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
        raise GatewayError("which user pool? pass --user-pool-id and --client-id, or --config")
    return _completed(given, load(request.config_path, request.environ).config, request.config_path)


def _completed(given: PoolAddress, config: Config, path: Path) -> PoolAddress:
    pools = config.cognito.user_pools if given.client_id else config.cognito.sign_in_pools
    if given.user_pool_id:
        pools = tuple(pool for pool in pools if pool.id == given.user_pool_id)
    elif given.client_id:
        pools = tuple(pool for pool in pools if given.client_id in pool.client_ids)
    if not pools:
        raise GatewayError(f"{path} has no such user pool: pass --user-pool-id and --client-id")
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


def _password(request: SignInRequest, console: Console) -> str:
    if request.password_file is not None:
        return possible(first_line(request.password_file, "--password-file"), "password in --password-file")
    return possible(console.secret("Password: ", "password"), "password")
