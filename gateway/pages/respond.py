"""Answers to browsers: a page, a redirect, a plain message; and the headers that guard all of them. Pure.

Invariant: `guarded` is the last thing that happens to an answer of the portal's, and nothing in a page's text
is markup unless a template of ours wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from gateway.http.answers import Answer
from gateway.pages import assets

_HTML = "text/html; charset=utf-8"


def html(text: str, *, status: int = 200) -> Answer:
    return Answer(status, text.encode("utf-8"), content_type=_HTML)


def see_other(location: str) -> Answer:
    """RFC 9110 section 15.4.4: whatever was sent, GET that instead. `location` is ours, or checked."""
    assert re.fullmatch(r"[\x21-\x7e]+", location), "a redirect goes where we say"
    return Answer(303, headers=[(b"Location", location.encode("ascii"))])


def message(
    title: str, sentences: Sequence[str], *, status: int, prefix: str, back: tuple[str, str] | None = None
) -> Answer:
    """A page that says something and leads on: `back` is a link's text and address, by default the portal.

    It needs no template, so that nothing can keep it from being shown.
    """
    text, address = back or ("Back", f"{prefix}/")
    body = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
    style, icon = (prefix + assets.load()[name].path for name in ("pages.css", "icon.svg"))
    return html(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{escape(title)}</title>\n'
        f'<link rel="icon" href="{escape(icon)}" type="image/svg+xml">\n'
        f'<link rel="stylesheet" href="{escape(style)}">\n</head>\n<body>\n<main class="middle">\n'
        f'<section class="card stack" aria-labelledby="title">\n<h1 id="title">{escape(title)}</h1>\n{body}\n'
        f'<a class="button full" href="{escape(address)}">{escape(text)}</a>\n'
        "</section>\n</main>\n</body>\n</html>\n",
        status=status,
    )


def guarded(answer: Answer, *, request_id: bytes, form_targets: Sequence[str] = ()) -> Answer:
    """The answer with the headers that every one of the portal's carries.

    `request_id` finds its line in the log; a file that caches keep would name that of another request.
    `form_targets`: origins to which a form of ours may lead; browsers look at redirects behind it as well
    (CSP level 3, form-action), so the domain of managed login is one.
    """
    targets = " ".join(("'self'", *form_targets))
    present = {name.lower() for name, _ in answer.headers}
    policy = (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        f"form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
    )
    wanted = (
        (b"Content-Security-Policy", policy.encode("ascii")),
        # Files that never change may say otherwise.
        (b"Cache-Control", b"no-store"),
        (b"X-Content-Type-Options", b"nosniff"),
        # No page of another origin embeds what is ours, a sibling domain's neither.
        (b"Cross-Origin-Resource-Policy", b"same-origin"),
        # A window that a script of the API's pages opened is cut off from it, so that it reads nothing there;
        # with both, also where those pages have the first (HTML standard, cross-origin opener policies).
        (b"Cross-Origin-Opener-Policy", b"same-origin"),
        (b"Cross-Origin-Embedder-Policy", b"require-corp"),
        # For browsers that do not know frame-ancestors.
        (b"X-Frame-Options", b"DENY"),
        # Not no-referrer: with it browsers send `Origin: null` with our own forms (Fetch standard).
        (b"Referrer-Policy", b"same-origin"),
    )
    if b"cache-control" not in present:
        answer.headers.append((b"X-Request-Id", request_id))
    answer.headers += [header for header in wanted if header[0].lower() not in present]
    return answer
