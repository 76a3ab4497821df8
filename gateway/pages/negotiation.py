"""The reader's language: a choice among those offered, by the cookie of our switch or by Accept-Language.

Pure. Invariant: the result is one of those offered, whatever the browser sends, and what is read is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from gateway.http.headers import value_of
from gateway.http.request import Request
from gateway.sessions.cookies import Cookies
from gateway.sessions.page_request import PageRequest

COOKIE = "language"
# Bytes and ranges of Accept-Language that are read: browsers send a tenth of it.
_LONGEST, _MOST_RANGES = 1024, 32
# RFC 9110 section 12.5.4, with the weights of section 12.4.2.
_RANGE = re.compile(
    r"[ \t]*(\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)[ \t]*"
    r"(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?"
)
# The other Chinese script: its readers get what the ranges after it ask for.
_OTHER_SCRIPT = re.compile(r"zh-(?:hant|tw|hk|mo)(?:-|$)")
_TRADITIONAL = "zh-Hant"
# The languages of managed login, as its parameter `lang` has them (Cognito developer guide, "Managed login
# localization").
_AT_COGNITO = {tag: tag for tag in ("de", "en", "es", "fr", "id", "it", "ja", "ko", "pt-BR")} | {
    "zh-Hans": "zh-CN",
    _TRADITIONAL: "zh-TW",
}


def language_of(request: Request, offered: Sequence[str], *, secure: bool, base: str) -> str:
    """Return the language for the reader of this request. `base` and `secure` as for Cookies."""
    if len(offered) == 1:
        return offered[0]
    kept = Cookies(request.head.own_cookies, secure=secure, base=base).get(COOKIE)
    if kept in offered and kept is not None:
        return kept
    return negotiated(value_of(request.head, b"accept-language"), offered)


def language_at_cognito(page: PageRequest) -> str | None:
    """Return the reader's language as managed login's parameter `lang`; None if managed login does not speak
    it. What the reader chose on our pages comes first, whatever these offer."""
    found = page.cookies.get(COOKIE)
    if found not in _AT_COGNITO:
        found = _wanted(value_of(page.request.head, b"accept-language"), _AT_COGNITO)
    return None if found is None else _AT_COGNITO[found]


def negotiated(accepted: bytes | None, offered: Sequence[str]) -> str:
    """Return the best of those offered (RFC 4647 section 3.4, "Lookup"), else the first.

    A range is shortened until it fits, so `de-CH` gets `de`; and what is left of it may be the beginning of
    one that is offered, so `pt` and `pt-PT` get `pt-BR`."""
    return _wanted(accepted, offered) or offered[0]


def _wanted(accepted: bytes | None, offered: Iterable[str]) -> str | None:
    for wanted in _ranges(accepted or b""):
        if wanted == "*":
            break
        found = _fitting(wanted, offered)
        if found is not None:
            return found
    return None


def _ranges(accepted: bytes) -> list[str]:
    """Return the ranges in lower case, the most wanted first; malformed ones are left out."""
    weighted = [
        (match[1].lower(), 1.0 if match[2] is None else float(match[2])) for match in _matches(accepted)
    ]
    return [name for name, weight in sorted(weighted, key=lambda each: -each[1]) if weight > 0]


def _matches(accepted: bytes) -> Iterator[re.Match[str]]:
    text = accepted[:_LONGEST].decode("latin-1")
    for part in text.split(",", _MOST_RANGES)[:_MOST_RANGES]:
        match = _RANGE.fullmatch(part)
        if match is not None:
            yield match


def _fitting(wanted: str, offered: Iterable[str]) -> str | None:
    if _OTHER_SCRIPT.match(wanted):
        return _TRADITIONAL if _TRADITIONAL in offered else None
    while wanted:
        for tag in offered:
            if tag.lower() == wanted:
                return tag
        wanted, _, last = wanted.rpartition("-")
        if not wanted:
            # The language alone.
            return next((tag for tag in offered if tag.lower().partition("-")[0] == last), None)
    return None
