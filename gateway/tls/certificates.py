"""The validity period of a certificate, read from its file.

Invariant: nothing here decides about trust; that is left to the context (contexts.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple


class Validity(NamedTuple):
    """A certificate's validity in Unix time (RFC 5280 section 4.1.2.5)."""

    since: float
    until: float

    def problem(self, now: float) -> str | None:
        """Return why the certificate is invalid at `now`, or None."""
        if now > self.until:
            return f"expired at {_shown(self.until)}"
        if now < self.since:
            return f"is not valid before {_shown(self.since)}"
        return None


def validity(file: Path) -> Validity | None:
    """Return the validity of the file's first certificate, the server's; None if it cannot be read."""
    # Imported only where TLS is used.
    from cryptography import x509  # noqa: PLC0415

    try:
        first = x509.load_pem_x509_certificates(file.read_bytes())[0]
    except (OSError, ValueError):
        return None
    return Validity(first.not_valid_before_utc.timestamp(), first.not_valid_after_utc.timestamp())


def _shown(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
