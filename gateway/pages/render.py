"""Rendering of pages with Jinja2: autoescape, undefined names are errors, and the context all pages share.

Loading takes some 50 ms (the engine and its templates), so it happens once, for the first page, in a thread.
Invariant: nothing in a page is markup unless one of our templates, brand.py or the QR code generator wrote
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from gateway.http.answers import Answer
from gateway.pages.appearance import Look
from gateway.pages.badge import Badge
from gateway.pages.brand import foot, icons, mark, switch
from gateway.pages.catalogue import Catalogue
from gateway.pages.respond import html
from gateway.sessions.page_request import PageRequest
from gateway.texts import Text, Value

_FOLDER = Path(__file__).with_name("templates")


@pass_context
def _said(context: Context, value: object) -> object:
    """Say each text that a template inserts in the page's language."""
    return context["words"].say(value) if isinstance(value, Text) else value


class Errors(dict[str, str]):
    """Messages by field; a field without one yields None, not an exception."""

    def __missing__(self, key: str) -> None:
        return None


def _calls(words: Catalogue) -> dict[str, Callable[..., Markup]]:
    """Return what templates call for their own texts: `_("…", name=value)`, and `counted(one, other, count)`
    for those with a number."""

    def said(text: str, **values: Value) -> Markup:
        return words.markup(text, None, values)

    def counted(one: str, other: str, count: int, **values: Value) -> Markup:
        return words.markup(one, other, {**values, "count": count})

    return {"_": said, "counted": counted}


class Renderer:
    """The compiled templates."""

    def __init__(self) -> None:
        environment = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            finalize=_said,
        )
        self._templates: Mapping[str, Template] = {
            file.stem: environment.get_template(file.name) for file in sorted(_FOLDER.glob("*.html"))
        }

    def page(
        self,
        look: Look,
        page: PageRequest,
        template: str,
        title: Text,
        *,
        status: int = 200,
        errors: Mapping[str, str] | None = None,
        problem: str | None = None,
        badge: Badge | None = None,
        **context: Any,
    ) -> Answer:
        """Render a template. `context`: what it needs beyond the shared context."""

        def asset(name: str) -> str:
            return page.prefix + look.path(name)

        words = look.words(page.language)
        shared: dict[str, Any] = {
            "words": words,
            **_calls(words),
            "language": page.language,
            "title": title,
            "site": look.title(page.origin),
            "icons": Markup(icons(look, page.prefix)),  # noqa: S704 - brand.py escapes
            "mark": Markup(mark(look, page.prefix)),  # noqa: S704
            "foot": Markup(foot(look, words, switch(look, words, page))),  # noqa: S704
            "prefix": page.prefix,
            "here": page.prefix + page.path,
            "csrf": page.csrf,
            "asset": asset,
            "badge": badge,
            "errors": Errors(errors or {}),
            # The field that gets the focus.
            "wrong": next(iter(errors or {}), None),
            "problem": problem,
            "notice": None,
            "lead": None,
            "link": None,
            "refresh": None,
            "kept": {},
        }
        text = self._templates[template].render({**shared, **context})
        return html(text, status=status, look=look, language=page.language)
