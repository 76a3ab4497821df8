"""The connection badge in the corner of a page. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.texts import Text


@dataclass(frozen=True, slots=True)
class Badge:
    """The cloud icon: whether this gateway is connected to AWS. `link`: it leads to the set-up page."""

    text: Text
    connected: bool
    link: bool = False


NOT_CONNECTED = Badge(Text("Not connected to AWS"), connected=False)
CONNECTED = Badge(Text("Connected to AWS"), connected=True)
