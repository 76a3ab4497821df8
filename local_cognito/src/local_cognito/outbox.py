"""GET /_outbox: the mail and the text messages that were not sent, newest last.

For demos and tests. Invariant: it answers only under a loopback name, so that no web page reads it through a
name of its own that points here (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from local_cognito.state import Message, State


def messages(state: State, username: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
    """All that is kept, or one user's (username, or the address it went to), or one kind."""
    return [
        _shown(one)
        for one in state.outbox
        if username in (None, one.username, one.destination) and kind in (None, one.kind)
    ]


def _shown(message: Message) -> dict[str, Any]:
    return {
        "pool": message.pool_id,
        "username": message.username,
        "kind": message.kind,
        "medium": message.medium,
        "destination": message.destination,
        "code": message.code,
        "text": message.text,
        "at": message.at,
    }


def asked_on_loopback(host: str) -> bool:
    """Whether a Host header names this machine itself."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
