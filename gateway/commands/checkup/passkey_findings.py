"""Checks of the relying party of a pool's passkeys against the name of the gateway's pages. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from gateway.aws.relying_party import PASSKEY, covers, first_factors, party_of
from gateway.commands.checkup.finding import Finding, broken, good
from gateway.config.model import Config, UserPool


def takes_passkeys(described: Mapping[str, Any], pool: UserPool, config: Config) -> bool:
    """Return whether users of this pool may sign in with passkeys on our own pages."""
    own_pages = config.sign_in.enabled and not pool.managed
    return own_pages and config.sign_in.auth_flow == "USER_AUTH" and PASSKEY in first_factors(described)


def judge_passkeys(mfa_config: Mapping[str, Any], pool: UserPool, config: Config) -> Iterator[Finding]:
    """Check the relying party in a GetUserPoolMfaConfig response, in a pool that takes passkeys."""
    about, url = f"user pool {pool.id}", config.listen.public_url
    party = party_of(mfa_config)
    fix = f"console: user pool {pool.id}, Sign-in, Passkey: set the relying party ID to "
    if not party:
        yield broken(
            about,
            "has no relying party ID for passkeys",
            "Cognito then uses the pool's domain, and browsers refuse passkeys on the gateway's pages",
            fix + ("the host of listen.public_url" if url is None else str(urlsplit(url).hostname)),
        )
    elif url is None:
        yield good(about, f"has passkeys for {party}: people must open the pages by this name or a subdomain")
    elif not covers(party, url):
        yield broken(
            about,
            f"has passkeys for {party}, and the pages are at {url}",
            "browsers refuse them there, so the pages offer none",
            f"{fix}{urlsplit(url).hostname} or a domain that it is part of; passkeys that exist stop working",
        )
    else:
        yield good(about, f"has passkeys for {party}, which covers {url}")
