"""Answers to browsers: pages, redirects and messages, with the security headers of all of them. Pure.

Invariant: `guarded` is applied last to every answer of the portal, and nothing in a page is markup unless one
of our templates wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from gateway.http.answers import Answer
from gateway.pages.appearance import Look
from gateway.pages.brand import foot, icons, mark
from gateway.pages.features import permissions
from gateway.texts import Text

_HTML = "text/html; charset=utf-8"


def html(text: str, *, status: int = 200, look: Look, language: str) -> Answer:
    """Return a page in this language; with several, `Vary` names what it depends on."""
    headers = [(b"Content-Language", language.encode("ascii"))]
    if len(look.languages) > 1:
        headers.append((b"Vary", b"Accept-Language, Cookie"))
    return Answer(status, text.encode("utf-8"), content_type=_HTML, headers=headers)


def see_other(location: str) -> Answer:
    """Redirect with 303: the browser sends GET (RFC 9110 section 15.4.4). `location` is ours or checked."""
    assert re.fullmatch(r"[\x21-\x7e]+", location), "a redirect goes where we say"
    return Answer(303, headers=[(b"Location", location.encode("ascii"))])


def message(
    look: Look,
    title: Text,
    sentences: Sequence[Text],
    *,
    status: int,
    language: str,
    prefix: str,
    origin: str,
    request_id: str | None = None,
    back: tuple[Text, str] | None = None,
    second: tuple[Text, str] | None = None,
) -> Answer:
    """Return a page with a message and a link. `back`: its text and address, by default the portal; `second`:
    another link.

    `request_id` leads from a complaint to the log. It uses no template, so that a broken template engine
    cannot prevent it.
    """
    text, address = back or (Text("Your account"), f"{prefix}/")
    words = look.words(language)

    def say(said: str) -> str:
        return escape(words.say(said))

    body = "".join(f'<p class="keep">{say(sentence)}</p>\n' for sentence in sentences)
    if request_id is not None:
        body += f'<p class="small quiet keep">{say(Text("Request {id}", id=request_id))}</p>\n'
    links = f'<a class="button full" href="{escape(address)}">{say(text)}</a>\n'
    if second is not None:
        links += f'<a class="button second full" href="{escape(second[1])}">{say(second[0])}</a>\n'
    site, heading = look.title(origin), say(title)
    return html(
        f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="robots" content="noindex">\n'
        f"<title>{f'{heading} · {escape(site)}' if site else heading}</title>\n{icons(look, prefix)}"
        f'<link rel="stylesheet" href="{escape(prefix + look.path("pages.css"))}">\n</head>\n<body>\n'
        f'<header class="top">\n<a class="brand" href="{escape(prefix)}/">{mark(look, prefix)}'
        f'<span dir="auto">{escape(site)}</span></a>\n</header>\n<main class="middle">\n'
        f'<section class="card stack" aria-labelledby="title">\n<h1 id="title">{heading}</h1>\n{body}'
        f"{links}</section>\n</main>\n{foot(look, words)}</body>\n</html>\n",
        status=status,
        look=look,
        language=language,
    )


def policy(form_targets: Sequence[str] = (), *, script: str = "'self'") -> str:
    """Return the Content-Security-Policy of a page whose forms may lead to these origins as well."""
    targets = " ".join(("'self'", *form_targets))
    return (
        f"default-src 'none'; style-src 'self'; script-src {script}; img-src 'self' data:; "
        f"connect-src 'self'; form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
    )


def guarded(answer: Answer, *, request_id: bytes, form_targets: Sequence[str] = ()) -> Answer:
    """Return the answer with the security headers that every answer of the portal carries.

    `request_id` leads to the log line; a cacheable file must not carry one, as it would name another request.
    `form_targets`: other origins that our forms may lead to. Browsers check redirects after a form as well
    (CSP level 3, form-action), so the managed login domain is one.
    """
    present = {name.lower() for name, _ in answer.headers}
    wanted = (
        (b"Content-Security-Policy", policy(form_targets).encode("ascii")),
        # Immutable files set their own.
        (b"Cache-Control", b"no-store"),
        (b"X-Content-Type-Options", b"nosniff"),
        # Nothing here needs them, not even what a style sheet or an extension of the page's adds.
        (b"Permissions-Policy", permissions()),
        # No other origin embeds our pages, not even a sibling domain.
        (b"Cross-Origin-Resource-Policy", b"same-origin"),
        # A window opened by a script of the API's pages is isolated from it, so the script cannot read it.
        # Both are needed where those pages send the first themselves (HTML Standard, cross-origin opener
        # policies).
        (b"Cross-Origin-Opener-Policy", b"same-origin"),
        (b"Cross-Origin-Embedder-Policy", b"require-corp"),
        # For browsers without frame-ancestors.
        (b"X-Frame-Options", b"DENY"),
        # Not no-referrer: browsers would then send `Origin: null` with our own forms (Fetch standard).
        (b"Referrer-Policy", b"same-origin"),
    )
    if b"cache-control" not in present:
        answer.headers.append((b"X-Request-Id", request_id))
    answer.headers += [header for header in wanted if header[0].lower() not in present]
    return answer
