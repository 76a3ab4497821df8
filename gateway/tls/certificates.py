"""How long a certificate holds: read from its file, looked at whenever that changes.

Invariant: nothing here decides whom to trust; that is the context's (tls.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple


class Validity(NamedTuple):
    """Of a certificate, in Unix time: RFC 5280 section 4.1.2.5."""

    since: float
    until: float

    def problem(self, now: float) -> str | None:
        """Why clients refuse it at `now`; None: they do not for this reason."""
        if now > self.until:
            return f"expired at {_shown(self.until)}"
        if now < self.since:
            return f"is not valid before {_shown(self.since)}"
        return None


def validity(file: Path) -> Validity | None:
    """Of the first certificate in this file, which is ours; None: there is none, or it cannot be read."""
    # Where there is no TLS nobody pays for it.
    from cryptography import x509  # noqa: PLC0415

    try:
        first = x509.load_pem_x509_certificates(file.read_bytes())[0]
    except (OSError, ValueError):
        return None
    return Validity(first.not_valid_before_utc.timestamp(), first.not_valid_after_utc.timestamp())


def _shown(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
