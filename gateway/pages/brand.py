"""The parts that all pages have: icons, mark, and a foot with links and languages, as markup. Pure.

Invariant: every text is escaped here, so that templates and pages without a template may insert the result.
"""

from __future__ import annotations

from html import escape

from gateway.pages.appearance import Logo, Look
from gateway.pages.catalogue import LANGUAGES, Catalogue
from gateway.sessions.page_request import PageRequest
from gateway.texts import Text

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


def foot(look: Look, words: Catalogue, switch: str = "") -> str:
    """Return the foot of a page; empty if there is nothing to say there."""
    said = [f'<a href="{escape(url)}">{escape(words.say(text))}</a>' for text, url in look.links]
    if look.name is None:
        said.append(escape(words.say(Text("Guarded by cognito-gateway"))))
    parts = [switch, f"<p>{' · '.join(said)}</p>" if said else ""]
    return f'<footer class="foot">{"".join(parts)}</footer>\n' if any(parts) else ""


def switch(look: Look, words: Catalogue, page: PageRequest) -> str:
    """Return the form that chooses another language for this browser; empty if there is only one.

    It works without a script, and leads back to this page (pages/language.py)."""
    if len(look.languages) == 1:
        return ""
    buttons = "".join(
        f'<button class="link" name="language" value="{tag}" lang="{tag}">{language.name}</button>'
        for tag, language in LANGUAGES.items()
        if tag in look.languages and tag != words.language
    )
    label = escape(words.say(Text("Language: {name}", name=LANGUAGES[words.language].name)))
    back = escape(page.request.raw_path + page.request.query)
    return (
        f'<details class="languages"><summary>{label}</summary>'
        f'<form method="post" action="{escape(page.prefix)}/language">'
        f'<input type="hidden" name="csrf" value="{escape(page.csrf)}">'
        f'<input type="hidden" name="return_to" value="{back}">{buttons}</form></details>'
    )
