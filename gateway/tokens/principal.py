"""The principal of a verified token: what routes decide about, and what the upstream is sent.

Invariant: created only from `Claims`, hence from a verified token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from gateway.tokens.claims import Claims

NOTHING: Mapping[str, object] = MappingProxyType({})


class Principal(NamedTuple):
    """The user or program that a verified token identifies.

    `identity_lines` are the header lines for the upstream; `named` the claims that routes ask for by name,
    parsed once (Config.claims_in_routes); `assertion` returns one more header line, for a Unix time.
    """

    claims: Claims
    identity_lines: bytes
    named: Mapping[str, object] = NOTHING
    assertion: Callable[[float], bytes] | None = None

    def __repr__(self) -> str:
        return f"<Principal {self.claims!r}>"
