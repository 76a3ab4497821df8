"""Sign-in with a browser at managed login, for people without a password: `--flow browser`.

The authorization code comes back to a page on this machine (loopback.py) and is redeemed with PKCE (RFC 8252,
RFC 7636). Invariant: tokens are returned only for the code, state, nonce and verifier of this sign-in.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from gateway.aws.values import PoolAddress, Tokens
from gateway.commands.support.loopback import Loopback
from gateway.errors import GatewayError, Refusal
from gateway.sessions.token_endpoint import redeem

# Characters of the provider's message.
_SHOWN = 300
# Variables that say that a browser can be shown: X11, Wayland, a chosen program, Windows behind WSL.
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME")


@dataclass(frozen=True, slots=True)
class BrowserSignIn:
    """The options of a sign-in with a browser. `resource`: what the access token is bound to (RFC 8707)."""

    domain: str
    port: int
    patience: float
    opens: bool = True
    identity_provider: str | None = None
    username: str | None = None
    resource: str | None = None
    # Seconds: an older sign-in at managed login does not suffice.
    max_age: float | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def sign_in(address: PoolAddress, asked: BrowserSignIn, command: str) -> Tokens:
    """Return the tokens of a sign-in with a browser. Raises GatewayError."""
    try:
        return asyncio.run(_sign_in(address, asked))
    except Refusal as refusal:
        raise GatewayError(f"{command}: sign-in failed: {refusal}") from None


async def _sign_in(address: PoolAddress, asked: BrowserSignIn) -> Tokens:
    # 128, 128 and 256 bits: RFC 6749 section 10.12, OpenID Connect Core section 3.1.2.1, RFC 7636 section 4.1
    state, nonce, verifier = (secrets.token_urlsafe(size) for size in (16, 16, 32))
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    async with Loopback(asked.port, state) as loopback:
        query = {
            "response_type": "code",
            "client_id": address.client_id,
            "redirect_uri": loopback.url,
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii"),
            "code_challenge_method": "S256",
            **_wishes(asked),
        }
        _show(f"{asked.domain.rstrip('/')}/oauth2/authorize?{urlencode(query)}", asked)
        try:
            async with asyncio.timeout(asked.patience):
                given = await loopback.callback
        except TimeoutError:
            raise GatewayError(
                f"nobody signed in within {asked.patience:g} s. If the page said redirect_mismatch, add "
                f"{loopback.url} to the app client's allowed callback URLs"
            ) from None
        try:
            tokens = await _redeemed(address, asked.domain, given, loopback.url, verifier)
            _check_nonce(tokens, nonce)
        except (GatewayError, Refusal) as error:
            loopback.finish(failed=str(error))
            raise
        loopback.finish()
        return tokens


def _wishes(asked: BrowserSignIn) -> dict[str, str]:
    """Return the members of the request that depend on options. Without `scope`, Cognito grants all that the
    app client allows."""
    wishes = {
        "identity_provider": asked.identity_provider,
        "login_hint": asked.username,
        "resource": asked.resource,
    }
    query = {name: value for name, value in wishes.items() if value}
    if asked.max_age is not None:
        # `prompt` makes Cognito ask again even if an identity provider ignores max_age.
        query |= {"max_age": str(int(asked.max_age)), "prompt": "login"}
    return query


def _show(url: str, asked: BrowserSignIn) -> None:
    """Open the browser, and print the address in any case: it may be the wrong browser, or none opens."""
    opened = asked.opens and _open(url, asked.environ)
    first = (
        "Opening the sign-in page in your browser. If it does not open, go to:"
        if opened
        else "Open this address in a browser on this machine:"
    )
    sys.stderr.write(f"{first}\n\n  {url}\n\n")
    sys.stderr.flush()


def _open(url: str, environ: Mapping[str, str]) -> bool:
    if sys.platform != "darwin" and not any(environ.get(name) for name in _SCREENS):
        return False
    try:
        # In its own process: what a browser prints must not get into the output, where a token is expected.
        subprocess.Popen(  # noqa: S603 - our own interpreter, and one argument that no shell reads
            [sys.executable, "-m", "webbrowser", url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=dict(environ),
        )
    except OSError:
        return False
    return True


async def _redeemed(
    address: PoolAddress, domain: str, given: Mapping[str, str], redirect_uri: str, verifier: str
) -> Tokens:
    if "error" in given:
        said = ": ".join(filter(None, (given["error"], given.get("error_description", ""))))
        line = "".join(sign if sign.isprintable() else " " for sign in said)
        raise GatewayError(f"the sign-in service says: {line[:_SHOWN]}")
    if not given.get("code"):
        raise GatewayError("the sign-in service sent neither a code nor an error")
    return await redeem(
        domain,
        address.egress,
        client_id=address.client_id,
        client_secret=address.client_secret,
        code=given["code"],
        verifier=verifier,
        redirect_uri=redirect_uri,
    )


def _check_nonce(tokens: Tokens, nonce: str) -> None:
    """Check the ID token's nonce. Its signature need not be checked: it came from the token endpoint itself
    (OpenID Connect Core section 3.1.3.7)."""
    import jwt

    try:
        found = jwt.decode(tokens.id, options={"verify_signature": False}).get("nonce")
    except jwt.InvalidTokenError:
        found = None
    if not isinstance(found, str) or not hmac.compare_digest(found.encode(), nonce.encode()):
        raise GatewayError("the ID token is not one of this sign-in: its nonce is another")
