"""Chromium's virtual authenticator (WebDriver: WebAuthn), for a page under test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.async_api import CDPSession, Page


@dataclass
class VirtualPasskeys:
    """An authenticator of one page that agrees to everything, unless told otherwise."""

    session: CDPSession
    id: str

    async def credentials(self) -> list[dict[str, Any]]:
        found = await self.session.send("WebAuthn.getCredentials", {"authenticatorId": self.id})
        return list(found["credentials"])

    async def touch(self, *, at_once: bool) -> None:
        """Let its owner agree to whatever is asked, or leave it waiting."""
        await self.session.send(
            "WebAuthn.setAutomaticPresenceSimulation", {"authenticatorId": self.id, "enabled": at_once}
        )

    async def verify(self, *, succeeds: bool) -> None:
        """Let its owner be recognised, or not."""
        await self.session.send(
            "WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": succeeds}
        )


async def virtual_passkeys(page: Page) -> VirtualPasskeys:
    """Give the page's browser a platform authenticator."""
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable", {"enableUI": False})
    options = {
        "protocol": "ctap2",
        "ctap2Version": "ctap2_1",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    added = await session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return VirtualPasskeys(session, str(added["authenticatorId"]))
