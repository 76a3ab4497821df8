"""The connection badge in the corner of a page. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Badge:
    """The cloud icon: whether this gateway is connected to AWS. `link`: it leads to the set-up page."""

    text: str
    connected: bool
    link: bool = False


NOT_CONNECTED = Badge("Not connected to AWS", connected=False)
CONNECTED = Badge("Connected to AWS", connected=True)
