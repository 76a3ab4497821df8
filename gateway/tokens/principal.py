"""Whom a verified token speaks for: what routes decide about, and what the upstream hears.

Invariant: made only from `Claims`, that is of a token that was verified.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from gateway.tokens.claims import Claims

NOTHING: Mapping[str, object] = MappingProxyType({})


class Principal(NamedTuple):
    """`identity_lines` are the header lines for the upstream; `named` the claims that routes ask for by name,
    parsed once (Config.claims_in_routes); `assertion` gives one more header line, for the Unix time."""

    claims: Claims
    identity_lines: bytes
    named: Mapping[str, object] = NOTHING
    assertion: Callable[[float], bytes] | None = None

    def __repr__(self) -> str:
        return f"<Principal {self.claims!r}>"
