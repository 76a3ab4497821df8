"""The QR code of an authenticator's key: made here, as SVG inside the page, so that the key goes nowhere.

Pure. Invariant: what is called markup here is segno's own, around numbers; the key itself is in its pattern
only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from markupsafe import Markup


def authenticator_uri(issuer: str, username: str, secret: str) -> str:
    """The form authenticator apps read (the "Key URI Format" of Google Authenticator)."""
    label = f"{quote(issuer, safe='')}:{quote(username, safe='')}"
    return f"otpauth://totp/{label}?secret={quote(secret, safe='')}&issuer={quote(issuer, safe='')}"


def qr_code(text: str) -> Markup:
    """Takes some 20 ms, and 50 the first time: call it in a thread."""
    import segno  # noqa: PLC0415 - for those few who set up an authenticator
    from markupsafe import Markup  # noqa: PLC0415

    # Level M (15 %): a screen is not a crumpled label. The border of four modules is the standard's
    # (ISO/IEC 18004 section 5.3.8).
    svg = segno.make(text, error="m", micro=False).svg_inline(
        border=4, dark="#000000", light="#ffffff", omitsize=True, svgclass=None, lineclass=None
    )
    return Markup(svg)  # noqa: S704 - numbers and the names of SVG's elements, see above
