"""The one-time code of the set-up page: anyone who can read the log may connect this gateway, once.

Derived from the secret that all workers of one start share and from how many codes were used, so that each of
them knows it and no file holds it. Invariant: it is compared in constant time, and one that was used, by
whichever worker, opens nothing any more.
"""

from __future__ import annotations

import base64
import hmac

from gateway.config.model import Config
from gateway.observe.logs import Logger
from gateway.pages.once import Once
from gateway.sessions.sealing import derive

# 80 bits in 16 characters of RFC 4648 base32: nobody guesses it, and it can be typed off another screen.
_BYTES = 10


class SetupCode:
    """The code of a start, and the next one once that is used."""

    def __init__(self, secret: bytes, once: Once) -> None:
        self._secret = secret
        self._once = once

    @property
    def number(self) -> int:
        """Which code it is: `use` wants to know the one that was looked at."""
        return self._once.number

    def text(self, number: int | None = None) -> str:
        """`ABCD-EFGH-IJKL-MNOP`."""
        which = self.number if number is None else number
        text = base64.b32encode(derive(self._secret, f"setup code {which}", _BYTES)).decode("ascii")
        return "-".join(text[at : at + 4] for at in range(0, len(text), 4))

    def use(self, number: int) -> bool:
        """Whether it could be used still; from now on it cannot."""
        return self._once.claim(number)

    def announce(self, config: Config, log: Logger) -> None:
        """The event `setup_code`."""
        log.event(
            "setup_code",
            level="warning",
            setup_code=self.text(),
            page=f"{config.listen.public_url or ''}{config.sign_in.prefix}/setup",
        )

    def __repr__(self) -> str:
        return "<SetupCode>"


def matches(given: str, code: str) -> bool:
    """Case, dashes and blanks aside."""
    return hmac.compare_digest(_plain(given), _plain(code))


def _plain(text: str) -> bytes:
    return "".join(text.split()).replace("-", "").upper().encode("utf-8")
