"""Features of browsers that our pages may use (Permissions Policy): none, but passkeys where a page needs
them. Pure.
"""

from __future__ import annotations

from gateway.http.answers import Answer

# WebAuthn level 3, "Permissions Policy integration".
GET, CREATE = "publickey-credentials-get", "publickey-credentials-create"
# Features that browsers grant to a page by default or on request, by their names in Chromium and Firefox.
# Copying (clipboard-write) stays with ourselves, as is the default.
_DENIED = (
    *(
        "accelerometer",
        "autoplay",
        "camera",
        "display-capture",
        "encrypted-media",
        "fullscreen",
        "geolocation",
    ),
    *("gyroscope", "magnetometer", "microphone", "midi", "payment", "screen-wake-lock", "usb"),
    *(CREATE, GET),
)


def permissions(*allowed: str) -> bytes:
    """Return the value of Permissions-Policy that allows these features to our own page alone."""
    return ", ".join(f"{name}={'(self)' if name in allowed else '()'}" for name in _DENIED).encode("ascii")


def allowing(answer: Answer, *features: str) -> Answer:
    """Return the page with these features allowed."""
    answer.headers.append((b"Permissions-Policy", permissions(*features)))
    return answer
