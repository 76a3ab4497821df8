"""Buttons of the pool's identity providers beside our own form, and the users that come from there.

A button leads to `/start?identity_provider=NAME`, from there through managed login to the provider, and back
to `/callback`. Invariant: only providers of the configuration are named to Cognito, never one from the
address bar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.config.model import Config, UserPool
from gateway.texts import Text
from gateway.tokens.claims import Claims

if TYPE_CHECKING:
    from gateway.pages.turn import Turn

# API reference, CreateIdentityProvider: the fixed names of two social providers, and what people call them.
_CALLED: Mapping[str, str] = {"SignInWithApple": "Apple", "LoginWithAmazon": "Amazon"}


@dataclass(frozen=True, slots=True)
class Button:
    text: str
    link: str


def offered(config: Config, pool: UserPool) -> tuple[str, ...]:
    """Return the names of the providers that our own form of this pool offers."""
    if pool.domain is None or pool.managed:
        return ()
    return tuple(provider.name for provider in config.sign_in.providers)


async def buttons(turn: Turn) -> list[Button]:
    """Return the buttons for the form; none for a provider that the app client is known not to allow."""
    config = turn.portal.config
    names = offered(config, turn.pool.configured)
    if not names:
        return []
    described = await turn.pool.described()
    allowed = None if described is None else described.providers
    # Who is asked to prove who they are must not come back by the session that Cognito and provider have.
    again = {"max_age": "0"} if turn.page.query.get("again") == "1" else {}
    return [
        Button(
            provider.label or Text("Continue with {name}", name=_CALLED.get(provider.name, provider.name)),
            turn.link("/start", identity_provider=provider.name, **again),
        )
        for provider in config.sign_in.providers
        if allowed is None or provider.name in allowed
    ]


def is_federated(claims: Claims | None) -> bool:
    """Return whether the user of this ID token has no password in the pool: the account is a provider's.

    Developer guide, "Third-party sign-in": Cognito names such a user PROVIDER_SUBJECT; an account of the pool
    that a provider was linked to keeps its own name. Pure."""
    every = {} if claims is None else claims.every
    username, identities = every.get("cognito:username"), every.get("identities")
    if not isinstance(username, str) or not isinstance(identities, list):
        return False
    names = [each.get("providerName") for each in identities if isinstance(each, dict)]
    folded = username.casefold()
    return any(isinstance(name, str) and folded.startswith(f"{name.casefold()}_") for name in names)
