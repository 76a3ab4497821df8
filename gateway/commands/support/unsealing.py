"""A token of an MCP client, opened for `explain` with the secret that the configuration names.

Invariant: nothing of the secret, and nothing of what is inside but its claims, is printed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gateway.config.model import Config
from gateway.errors import Refusal, TokenMalformed
from gateway.mcp.sealed_tokens import PREFIX, SealedTokens
from gateway.sessions.secrets import read_secrets
from gateway.tokens.claims import limited
from gateway.tokens.explain import Check, Explanation


@dataclass(frozen=True, slots=True)
class Opened:
    """`token` is the one whose checks are explained. `check` is the line about its seal, None if it has none;
    `refusal` is set where the seal did not open."""

    token: bytes = field(repr=False)
    check: Check | None = None
    refusal: Refusal | None = None
    scopes: frozenset[str] = frozenset()

    def applied(self, explanation: Explanation) -> Explanation:
        """Return the explanation of the token inside, as that of the sealed one."""
        if self.check is None:
            return explanation
        claims = explanation.claims
        return replace(
            explanation,
            checks=(self.check, *explanation.checks),
            claims=None if claims is None else limited(claims, self.scopes),
        )

    @property
    def failed(self) -> Explanation | None:
        """The whole explanation where the seal did not open, else None."""
        if self.check is None or self.refusal is None:
            return None
        return Explanation((self.check,), None, None, self.refusal, None, None)


def opened(config: Config, token: bytes, now: float) -> Opened:
    """Return a sealed token opened, and any other unchanged. Raises GatewayError for an unreadable secret."""
    if not token.startswith(PREFIX):
        return Opened(token)
    mcp, file = config.mcp, config.sign_in.session.secret_file
    if mcp is None or not mcp.signs_in:
        return _unopened(token, "a sealed token of an MCP client, and mcp is not configured")
    if file is None:
        return _unopened(token, "only the running gateway knows the secret: set sign_in.session.secret_file")
    try:
        inside = SealedTokens(read_secrets(file), mcp.resource).open(token, now)
    except TokenMalformed as refusal:
        return _unopened(token, str(refusal))
    scopes = " ".join(sorted(inside.scopes)) or "no scope"
    seen = f"for MCP client {inside.client}, {scopes}, at {mcp.resource} and below"
    return Opened(inside.token, Check("seal", True, seen), None, inside.scopes)


def _unopened(token: bytes, exact: str) -> Opened:
    refusal = TokenMalformed(exact)
    wanted = "sealed by this gateway for mcp.resource"
    return Opened(token, Check("seal", False, exact, wanted, refusal.reason), refusal)
