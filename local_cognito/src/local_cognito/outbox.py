"""GET /_outbox: e-mails and text messages that would have been sent, newest last.

For demos and tests. Invariant: it answers only to a loopback Host, so that no web page can read it through a
name that resolves to this address (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from local_cognito.state import Message, State


def messages(state: State, username: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
    """Return the messages kept, or those of one user (by username or destination), or of one kind."""
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
    """Return whether a Host header is a loopback name or address."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
