"""Post, redirect, get: what a form leaves for the page that answers it, in a sealed cookie of this browser.

Every form ends in a redirect, a refused one too: a page that is an answer to a POST cannot be reloaded or
returned to without the browser asking to send the form again. Invariant: passwords and codes are never kept,
an outcome is shown once, in the browser that sent the form, and only on the page it is for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from gateway.http.answers import Answer
from gateway.pages.respond import see_other
from gateway.sessions.page_request import FormOutcome, PageRequest
from gateway.sessions.sealing import Sealer
from gateway.texts import Text

_COOKIE = "outcome"
# Seconds: the browser follows the redirect at once.
_LIFE = 120.0
# Bytes of what was typed: together with the other cookies it must fit into a request head.
_MOST = 4096
# Fields that are part of the page's URL instead.
_IN_URL = ("pool", "return_to", "acr_values", "request")
_UNKEPT = frozenset({"csrf", "code", "credential", "step", *_IN_URL})


def redirected(
    page: PageRequest,
    sealer: Sealer,
    *,
    kept: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    problem: str | None = None,
    status: int = 200,
    retry_after: int | None = None,
) -> Answer:
    """Redirect to the page of this form, which then shows its outcome. `kept`: replaces fields of the
    form."""
    form = _typed({**page.form, **(kept or {})})
    outcome = FormOutcome(page.path, form, dict(errors or {}), problem, status, retry_after)
    sealed = sealer.seal(
        json.dumps(_packed(outcome), ensure_ascii=False).encode(),
        until=page.now + _LIFE,
        binding=_binding(page.browser_id),
    )
    page.set_cookies += page.cookies.set_split(_COOKIE, sealed, max_age=_LIFE)
    query = "&".join(f"{name}={quote(value, safe='/')}" for name, value in in_url(page.form).items())
    return see_other(f"{page.prefix}{page.path}{'?' if query else ''}{query}")


def in_url(form: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that are part of the page's URL."""
    return {name: form[name] for name in _IN_URL if form.get(name)}


def take(page: PageRequest, sealer: Sealer) -> FormOutcome | None:
    """Return the outcome that this page is to show, once; None if there is none."""
    sealed, browser = page.cookies.joined(_COOKIE), page.known_browser
    if sealed is None or browser is None:
        return None
    data = sealer.open(sealed, now=page.now, binding=_binding(browser))
    outcome = None if data is None else _read(data)
    if outcome is not None and outcome.path != page.path:
        return None
    page.set_cookies += page.cookies.clear_split(_COOKIE)
    return outcome


def _packed(outcome: FormOutcome) -> dict[str, Any]:
    """Return the outcome as JSON: its messages are said by the page that shows them, in its language."""
    problem = outcome.problem
    return {
        **asdict(outcome),
        "errors": {name: Text.of(said).packed() for name, said in outcome.errors.items()},
        "problem": None if problem is None else Text.of(problem).packed(),
    }


def _typed(form: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    left = _MOST
    for name, value in form.items():
        if name in _UNKEPT or "password" in name:
            continue
        left -= len(name.encode()) + len(value.encode())
        if left < 0:
            break
        kept[name] = value
    return kept


def _read(data: bytes) -> FormOutcome | None:
    try:
        fields = json.loads(data)
        errors = {name: Text.unpacked(packed) for name, packed in fields.pop("errors").items()}
        problem = fields.pop("problem")
        return FormOutcome(
            **fields, errors=errors, problem=None if problem is None else Text.unpacked(problem)
        )
    except (ValueError, TypeError, LookupError, AttributeError):
        return None  # written by another version of this program


def _binding(browser: str) -> bytes:
    return f"{_COOKIE} {browser}".encode("ascii")
