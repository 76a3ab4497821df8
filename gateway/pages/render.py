"""Pages from templates: Jinja2 with everything escaped, what is missing an error, and what all pages share.

Loading takes some 50 ms (the engine, sixteen templates), so it is done once, for the first page, in a thread.
Invariant: nothing in a page is markup unless a template of ours or the QR code's maker wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from gateway.http.answers import Answer
from gateway.pages import assets
from gateway.pages.badge import Badge
from gateway.pages.respond import html
from gateway.sessions.page_request import PageRequest

_FOLDER = Path(__file__).with_name("templates")


class Errors(dict[str, str]):
    """Field → what is wrong with it; a field without an error has None, not an exception."""

    def __missing__(self, key: str) -> None:
        return None


class Renderer:
    """The templates, compiled."""

    def __init__(self) -> None:
        environment = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates: Mapping[str, Template] = {
            file.stem: environment.get_template(file.name) for file in sorted(_FOLDER.glob("*.html"))
        }
        self.assets = assets.load()

    def page(
        self,
        page: PageRequest,
        template: str,
        title: str,
        *,
        status: int = 200,
        errors: Mapping[str, str] | None = None,
        badge: Badge | None = None,
        **context: Any,
    ) -> Answer:
        """`context`: what this template needs besides what all of them share."""

        def asset(name: str) -> str:
            return page.prefix + self.assets[name].path

        shared: dict[str, Any] = {
            "title": title,
            "site": page.origin.partition("://")[2],
            "prefix": page.prefix,
            "here": page.prefix + page.path,
            "csrf": page.csrf,
            "asset": asset,
            "badge": badge,
            "errors": Errors(errors or {}),
            # Where the cursor goes on a page of several fields.
            "wrong": next(iter(errors or {}), None),
            "problem": None,
            "notice": None,
            "lead": None,
            "link": None,
            "refresh": None,
            "kept": {},
        }
        text = self._templates[template].render({**shared, **context})
        return html(text, status=status)
