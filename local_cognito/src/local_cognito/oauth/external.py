"""The stand-in for a social, OIDC or SAML provider: a page of ours that asks who to be there.

Invariant: it signs in only users of the provider that the authorization request names, never one of the
pool's own accounts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from local_cognito.identity_providers import user_from
from local_cognito.oauth.authorize import Ask
from local_cognito.oauth.hosted import Done, Step
from local_cognito.state import IdentityProvider
from local_cognito.state_sign_in import BrowserSession

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")


def comes_from(ask: Ask, session: BrowserSession) -> bool:
    """Return whether this browser's session is one of the provider that is asked for; of any, if none is."""
    return ask.provider is None or session.username.startswith(f"{ask.provider.name}_")


def first_step(provider: IdentityProvider, *, email: str = "", error: str = "") -> Step:
    return Step(
        f"Stand-in for {provider.name}",
        {"email": ("Email address of the account there", "email")},
        note="No provider is asked: any address is accepted.",
        error=error,
        values={"email": email},
    )


def submit(ask: Ask, provider: IdentityProvider, form: Mapping[str, str], now: float) -> Done | Step:
    email = form.get("email", "").strip()
    if _EMAIL.fullmatch(email) is None:
        return first_step(provider, email=email, error="This is not an email address.")
    user = user_from(ask.pool, provider, email, now)
    if not user.enabled:
        return first_step(provider, email=email, error="User is disabled.")
    return Done(user, ())
