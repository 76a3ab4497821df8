"""The cloud in the corner of a page. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Badge:
    """The cloud in the corner: whether, and to what, this gateway is connected."""

    text: str
    connected: bool
    link: bool = False


NOT_CONNECTED = Badge("Not connected", connected=False)
