"""The relying party of a user pool's passkeys, and the host names that may use them. Pure.

A passkey works on its relying party's host and its subdomains, over https or on localhost (WebAuthn level 3,
"relying party identifier"). Invariant: an unknown relying party hides nothing; the browser decides then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

# API reference, SignInPolicyType: the first factor of passkeys.
PASSKEY = "WEB_AUTHN"


def first_factors(pool: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the first factors that choice-based sign-in offers, by the UserPool member of a
    DescribeUserPool response."""
    policy = (pool.get("Policies") or {}).get("SignInPolicy") or {}
    return tuple(policy.get("AllowedFirstAuthFactors") or ())


def party_of(mfa_config: Mapping[str, Any]) -> str:
    """Return the relying party in a GetUserPoolMfaConfig response; empty if none is set: then it is the
    pool's domain, where our own pages are not."""
    return str((mfa_config.get("WebAuthnConfiguration") or {}).get("RelyingPartyId") or "")


def covers(party: str | None, origin: str) -> bool:
    """Return whether pages of this origin may use the passkeys of a relying party; None: it is unknown."""
    if party is None:
        return True
    host = (urlsplit(origin).hostname or "").lower()
    party = party.lower()
    return bool(party) and (host == party or host.endswith(f".{party}"))
