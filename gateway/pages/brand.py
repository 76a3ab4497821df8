"""The parts of a page that show whose site it is: icons, mark and foot, as markup for all pages. Pure.

Invariant: every text is escaped here, so that templates and pages without a template may insert the result.
"""

from __future__ import annotations

from html import escape

from gateway.pages.appearance import Logo, Look

_DARK = "(prefers-color-scheme: dark)"
_MARK = (
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" '
    'stroke-linejoin="round" aria-hidden="true"><path d="M4 21V11a8 8 0 0 1 16 0v10"/>'
    '<path d="M9 21v-9a3 3 0 0 1 6 0v9"/><path d="M2.5 21h19"/></svg>'
)


def icons(look: Look, prefix: str) -> str:
    """Return the links to the browser tab's icon."""
    if look.logo is None:
        return f'<link rel="icon" href="{escape(prefix + look.path("icon.svg"))}" type="image/svg+xml">\n'
    if look.logo_dark is None:
        return _icon(look.logo, prefix, "")
    light, dark = ' media="(prefers-color-scheme: light)"', f' media="{_DARK}"'
    return _icon(look.logo, prefix, light) + _icon(look.logo_dark, prefix, dark)


def _icon(logo: Logo, prefix: str, media: str) -> str:
    return f'<link rel="icon" href="{escape(prefix + logo.path)}" type="{logo.content_type}"{media}>\n'


def mark(look: Look, prefix: str) -> str:
    """Return the logo for the head of a page; the name is beside it."""
    if look.logo is None:
        return _MARK
    dark, light = look.logo_dark, look.logo
    source = ""
    if dark is not None:
        source = f'<source media="{_DARK}" srcset="{escape(prefix + dark.path)}" {_size(dark)}>'
    return f'<picture>{source}<img src="{escape(prefix + light.path)}" alt="" {_size(light)}></picture>'


def _size(logo: Logo) -> str:
    return f'width="{logo.width}" height="{logo.height}"'


def foot(look: Look) -> str:
    """Return the foot of a page; empty if there is nothing to say there."""
    said = [f'<a href="{escape(url)}">{escape(text)}</a>' for text, url in look.links]
    if look.name is None:
        said.append("Guarded by cognito-gateway")
    return f'<footer class="foot">{" · ".join(said)}</footer>\n' if said else ""
