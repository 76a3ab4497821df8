"""Which page of ours answers what: path behind the prefix → method → handler. The only place that knows all.

Loaded when the first page is asked for, so that a gateway whose clients all bring tokens loads none of them.
A handler for GET answers HEAD too; a handler for POST is called only when the form's token held.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from gateway.portal import claims, managed, sign_out
from gateway.portal.page import PageRequest
from gateway.portal.portal import Portal
from gateway.proxy.answers import Answer

Handler: TypeAlias = Callable[[Portal, PageRequest], Awaitable[Answer]]
Routes: TypeAlias = Mapping[str, Mapping[str, Handler]]


def routes() -> Routes:
    return {
        "/callback": {"GET": managed.callback},
        "/sign_out": {"POST": sign_out.sign_out},
        "/start": {"GET": managed.start},
        "/userinfo": {"GET": claims.userinfo},
    }
