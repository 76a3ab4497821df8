"""Test hooks: advance the clock, rotate keys, make key sets and API fail or respond slowly.

Not part of Cognito. Invariant: only requests with a loopback Host and a JSON body reach them; no web page can
send one, neither by a form nor by DNS rebinding.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from local_cognito.errors import AwsError
from local_cognito.outbox import asked_on_loopback
from local_cognito.shapes import Field, check
from local_cognito.state import State

# Seconds, above any client timeout of ours; a typo should not hang a test for hours.
_LONGEST = 600
_FAULT = {
    "status": Field(int, minimum=400, maximum=599),
    "delay": Field(int, minimum=0, maximum=_LONGEST * 1000),
    "times": Field(int, minimum=1),
}


@dataclass(slots=True)
class Fault:
    """What happens to requests of one kind. `left` None: until the fault is removed."""

    status: int | None = None
    delay: float = 0.0
    left: int | None = None


@dataclass(slots=True)
class Hooks:
    """The changes that tests made to this server."""

    # Seconds added to the clock in total.
    offset: float = 0.0
    faults: dict[str, Fault] = field(default_factory=dict)

    def take(self, kind: str) -> Fault | None:
        """Return the fault for this request, and count it."""
        fault = self.faults.get(kind)
        if fault is not None and fault.left is not None:
            fault.left -= 1
            if fault.left <= 0:
                del self.faults[kind]
        return fault


def kind_of(path: str) -> str | None:
    """Return the kind of fault that applies to a path; None for the outbox and the hooks themselves."""
    if path.startswith("/_"):
        return None
    if path.endswith("/.well-known/jwks.json"):
        return "keys"
    return "api" if path == "/" else "pages"


def middleware(hooks: Hooks) -> Middleware:
    @web.middleware
    async def faults(request: web.Request, handler: Handler) -> web.StreamResponse:
        kind = kind_of(request.path)
        fault = hooks.take(kind) if kind is not None and hooks.faults else None
        if fault is None:
            return await handler(request)
        await asyncio.sleep(fault.delay)
        if fault.status is None:
            return await handler(request)
        body = {"__type": "InternalErrorException", "message": "A test hook made this fail"}
        return web.json_response(body, status=fault.status)

    return faults


def add_routes(app: web.Application, state: State, hooks: Hooks, now: Callable[[], float]) -> None:
    ends = _Endpoints(state, hooks, now)
    app.router.add_post("/_clock", ends.clock)
    app.router.add_post("/_keys", ends.keys)
    app.router.add_post("/_faults", ends.faults)


class _Endpoints:
    def __init__(self, state: State, hooks: Hooks, now: Callable[[], float]) -> None:
        self._state, self._hooks, self._now = state, hooks, now

    async def clock(self, request: web.Request) -> web.Response:
        """Advance the clock, `{"forward": 3600}` in seconds; return the new time."""
        body = await _body(request, {"forward": Field(int, True, minimum=0, maximum=20 * 365 * 86400)})
        self._hooks.offset += body["forward"]
        return web.json_response({"now": self._now()})

    async def keys(self, request: web.Request) -> web.Response:
        """Rotate keys, `{"pool": …, "keep": true}`; without `keep` the old ones are no longer published."""
        body = await _body(request, {"pool": Field(str, True), "keep": Field(bool)})
        try:
            pool = self._state.pool(body["pool"])
        except AwsError as error:
            raise _refused(error.message) from None
        old = await asyncio.wrap_future(pool.keys)
        made = self._state.new_keys()
        await asyncio.wrap_future(made)
        pool.old_keys = [old, *pool.old_keys] if body.get("keep", True) else []
        pool.keys = made
        keys = made.result()
        return web.json_response({"access": keys.access.kid, "id": keys.id.kid})

    async def faults(self, request: web.Request) -> web.Response:
        """Set faults, `{"keys": {"status": 503, "delay": 2000, "times": 3}}` in ms; `{"keys": {}}` removes
        one."""
        kinds = dict.fromkeys(("keys", "api", "pages"), Field(dict, members=_FAULT))
        body = await _body(request, kinds)
        for kind, given in body.items():
            self._hooks.faults.pop(kind, None)
            if given:
                delay = given.get("delay", 0) / 1000
                self._hooks.faults[kind] = Fault(given.get("status"), delay, given.get("times"))
        return web.json_response({kind: vars_of(fault) for kind, fault in self._hooks.faults.items()})


def vars_of(fault: Fault) -> dict[str, Any]:
    return {"status": fault.status, "delay": int(fault.delay * 1000), "times": fault.left}


async def _body(request: web.Request, fields: dict[str, Field]) -> dict[str, Any]:
    """Return the JSON body. Raises HTTPForbidden or HTTPBadRequest with a message."""
    if not asked_on_loopback(request.headers.get("Host", "")):
        raise web.HTTPForbidden(text="The hooks answer on loopback names only.\n")
    # A web form has another type; for this one a browser sends a preflight, which fails.
    if request.content_type != "application/json":
        raise _refused("The body must be JSON: Content-Type: application/json")
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise _refused("The body is not JSON") from None
    if not isinstance(body, dict):
        raise _refused("The body is not a JSON object")
    try:
        return check(fields, body)
    except AwsError as error:
        raise _refused(error.message) from None


def _refused(why: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=f"{why}\n")
