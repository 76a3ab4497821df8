"""A site whose pool takes passkeys, under the one name of this machine that browsers take them for."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.support.site import POOL, Site, seed, site

FACTORS = {"Policies": {"SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "WEB_AUTHN"]}}}


def local_name(at: Site) -> str:
    """Return the site's URL with a name: an IP address cannot be a relying party."""
    return f"http://localhost:{at.worker.port}"


def relying_party(at: Site, party: str = "localhost", **settings: str) -> None:
    """Set the relying party of the pool's passkeys."""
    at.local.call(
        "SetUserPoolMfaConfig",
        UserPoolId=POOL,
        WebAuthnConfiguration={"RelyingPartyId": party, **settings},
    )


@contextlib.asynccontextmanager
async def with_passkeys(folder: Path, *, party: str = "localhost") -> AsyncIterator[Site]:
    """Run a site whose users may sign in with passkeys. `party`: of the pool; empty: not set."""
    async with site(folder, seeded=seed(pool=FACTORS), sign_in="auth_flow: USER_AUTH") as at:
        if party:
            relying_party(at, party)
        await at.settled()
        yield at
