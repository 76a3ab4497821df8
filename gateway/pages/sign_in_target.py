"""The target of a sign-in: the user pool, where to go afterwards, and how strong it has to be for that.

They travel in URLs and hidden fields, where anyone can change them. Invariant: the pool is a configured one,
the destination a path of this site, the strength one that a route asks for, and nothing else is read from the
query.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from gateway.pages.return_to import page_wanted
from gateway.sessions.page_request import PageRequest


@dataclass(frozen=True, slots=True)
class SignInTarget:
    """Pool, destination and strength. `pool_id` is None until the user has chosen."""

    pool_id: str | None
    # Empty: no page was requested.
    return_to: str = ""
    # The acr values of a route, of which any suffices (RFC 9470); empty: no route asks.
    acr_values: str = ""

    @property
    def kept(self) -> dict[str, str]:
        """Return the hidden fields that carry it through a form."""
        fields = {} if self.pool_id is None else {"pool": self.pool_id}
        more = {"return_to": self.return_to, "acr_values": self.acr_values}
        return fields | {name: value for name, value in more.items() if value}

    def onward(self, page: PageRequest) -> str:
        """Return where a signed-in user goes: the page requested, or the portal."""
        return self.return_to or page.prefix + "/"

    def link(self, page: PageRequest, path: str, **more: str) -> str:
        """Return the URL of another page with this target."""
        fields = {**self.kept, **more}
        query = "&".join(f"{name}={quote(value, safe='/')}" for name, value in fields.items())
        return f"{page.prefix}{path}{'?' if query else ''}{query}"


def asked(page: PageRequest, pools: Mapping[str, object], levels: Collection[str]) -> SignInTarget:
    """Read the target from the form, else from the query; a single pool need not be chosen.

    `levels`: the acr values of each route that asks for some."""
    given = page.form if page.method == "POST" else page.query
    pool_id = given.get("pool")
    if pool_id not in pools:
        pool_id = next(iter(pools)) if len(pools) == 1 else None
    acr_values = given.get("acr_values", "")
    wanted = page_wanted(given.get("return_to"))
    return SignInTarget(pool_id, wanted, acr_values if acr_values in levels else "")
