"""The one-time set-up code, written to the log: it lets its reader connect this gateway, once.

Derived from the secret that the workers share and from the number of codes used, so that every worker knows
it and no file holds it. Invariant: codes are compared in constant time, and a code used at any worker is
invalid at all.
"""

from __future__ import annotations

import base64
import hmac

from gateway.config.model import Config
from gateway.observe.logs import Logger
from gateway.pages.once import Once
from gateway.sessions.sealing import derive

# 80 bits in 16 characters of base32 (RFC 4648): cannot be guessed, can be typed off another screen.
_BYTES = 10


class SetupCode:
    """The current code; using it up leads to the next one."""

    def __init__(self, secret: bytes, once: Once) -> None:
        self._secret = secret
        self._once = once

    @property
    def number(self) -> int:
        """Return the current code's number, to be passed to `use` after the check."""
        return self._once.number

    def text(self, number: int | None = None) -> str:
        """Return the code in the form `ABCD-EFGH-IJKL-MNOP`."""
        which = self.number if number is None else number
        text = base64.b32encode(derive(self._secret, f"setup code {which}", _BYTES)).decode("ascii")
        return "-".join(text[at : at + 4] for at in range(0, len(text), 4))

    def use(self, number: int) -> bool:
        """Use the code up; return whether it was still valid."""
        return self._once.claim(number)

    def announce(self, config: Config, log: Logger) -> None:
        """Log the event `setup_code`."""
        log.event(
            "setup_code",
            level="warning",
            setup_code=self.text(),
            page=f"{config.listen.public_url or ''}{config.sign_in.prefix}/setup",
        )

    def __repr__(self) -> str:
        return "<SetupCode>"


def matches(given: str, code: str) -> bool:
    """Return whether the codes are equal, ignoring case, dashes and white space."""
    return hmac.compare_digest(_plain(given), _plain(code))


def _plain(text: str) -> bytes:
    return "".join(text.split()).replace("-", "").upper().encode("utf-8")
