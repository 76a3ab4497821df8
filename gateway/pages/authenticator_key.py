"""An authenticator's key as a page shows it: a QR code, text, and a link for the app on this device."""

from __future__ import annotations

import asyncio

from gateway.pages.qr_code import authenticator_uri, qr_code


async def shown(origin: str, username: str, secret: str) -> dict[str, object]:
    """Return what the macro `authenticator` of parts.html shows."""
    uri = authenticator_uri(origin.partition("://")[2], username, secret)
    # In groups of four, for reading off a screen; authenticator apps ignore the spaces.
    spaced = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return {"picture": await asyncio.to_thread(qr_code, uri), "secret": spaced, "uri": uri}
