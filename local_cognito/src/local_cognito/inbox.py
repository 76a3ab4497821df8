"""The outbox as a page that looks like an inbox, for a person who waits for a code.

Pure. Invariant: nothing that a message contains reaches the page but through `escape`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

# No script, no frames, no subresources.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
_SUBJECTS = {
    "sign-up": "Confirm your account",
    "forgot-password": "Reset your password",
    "attribute": "Confirm your new address",
    "mfa": "Your sign-in code",
    "sign-in": "Your sign-in code",
    "invitation": "Your temporary password",
}
_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}"
    "ol{list-style:none;padding:0}"
    "li{border:1px solid color-mix(in srgb,currentColor 25%,transparent);border-radius:.75rem;"
    "padding:1rem;margin:0 0 1rem}"
    "h2{font-size:1.1rem;margin:0}p{margin:.25rem 0;overflow-wrap:anywhere}"
    ".code{font:600 1.5rem/1.3 ui-monospace,monospace;letter-spacing:.1em;user-select:all}"
    ".about{opacity:.75;font-size:.9rem}"
)


def inbox_page(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the messages as a page that reloads itself, newest first."""
    shown = "".join(_message(one) for one in reversed(messages))
    body = f"<ol>{shown}</ol>" if shown else "<p>No messages yet. This page shows new ones by itself.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Inbox · local Cognito</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="refresh" content="3"><style>{_STYLE}</style></head><body><main><h1>Inbox</h1>'
        '<p class="about">What Cognito would have sent by e-mail or text message.</p>'
        f"{body}</main></body></html>"
    )


def _message(one: Mapping[str, Any]) -> str:
    sent = datetime.fromtimestamp(one["at"], UTC).strftime("%d %b %Y, %H:%M:%S UTC")
    how = "Text message" if one["medium"] == "SMS" else "E-mail"
    code = f'<p class="code">{escape(one["code"])}</p>' if one["code"] else ""
    return (
        f"<li><h2>{escape(_SUBJECTS.get(one['kind'], one['kind']))}</h2>"
        f'<p class="about">{how} to {escape(one["destination"])} · {sent}</p>{code}'
        f"<p>{escape(one['text'])}</p></li>"
    )
