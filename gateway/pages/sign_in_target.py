"""What every page of a sign-in is asked: at which pool, and where to go afterwards.

Both travel in addresses and hidden fields, for all to see and to change: a pool is only one of ours, a return
address only a path of this site. Invariant: nothing else of a query string is believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from gateway.pages.return_to import page_wanted
from gateway.sessions.page_request import PageRequest


@dataclass(frozen=True, slots=True)
class SignInTarget:
    """`pool_id` None: not chosen yet."""

    pool_id: str | None
    # Empty: no page was asked for.
    return_to: str = ""

    @property
    def kept(self) -> dict[str, str]:
        """The hidden fields that carry it on."""
        fields = {} if self.pool_id is None else {"pool": self.pool_id}
        return {**fields, "return_to": self.return_to} if self.return_to else fields

    def onward(self, page: PageRequest) -> str:
        """Where somebody goes who is signed in: the portal, where no page was asked for."""
        return self.return_to or page.prefix + "/"

    def link(self, page: PageRequest, path: str, **more: str) -> str:
        """The address of another page that goes on with it."""
        fields = {**self.kept, **more}
        query = "&".join(f"{name}={quote(value, safe='/')}" for name, value in fields.items())
        return f"{page.prefix}{path}{'?' if query else ''}{query}"


def asked(page: PageRequest, pools: Mapping[str, object]) -> SignInTarget:
    """From the form, else from the query; the only pool there is needs no choice."""
    given = page.form if page.method == "POST" else page.query
    pool_id = given.get("pool")
    if pool_id not in pools:
        pool_id = next(iter(pools)) if len(pools) == 1 else None
    return SignInTarget(pool_id, page_wanted(given.get("return_to")))
