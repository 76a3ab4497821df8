"""Who sends a request, as session tracking records it.

Pure. Invariant: texts from outside are bounded here.
"""

from __future__ import annotations

import re

from aiohttp import web

from local_cognito.state import Caller

_LONGEST_AGENT = 1024
# The first that a user agent contains wins: browsers also name those that they imitate.
_SYSTEMS = {"iPhone": "iOS", "iPad": "iOS", "Android": "Android", "Windows": "Windows", "Mac OS X": "macOS"}
_BROWSERS = {"Edg/": "Edge", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
_PRODUCT = re.compile(r"[A-Za-z][\w.+-]{0,60}")


def caller_of(request: web.Request, *, signed: bool = False) -> Caller:
    agent = request.headers.get("User-Agent")
    return Caller(request.remote, agent[:_LONGEST_AGENT] if agent else None, signed)


def device_of(agent: str | None) -> str:
    """Return browser or app and operating system, such as `Firefox on Linux`; or `unknown`."""
    if not agent:
        return "unknown"
    systems = {**_SYSTEMS, "Linux": "Linux"}
    system = next((name for part, name in systems.items() if part in agent), None)
    app = next((name for part, name in _BROWSERS.items() if part in agent), None)
    if app is None:
        product = _PRODUCT.match(agent)
        app = product[0] if product else None
    return " on ".join(name for name in (app, system) if name) or "unknown"
