"""The user contexts that applications send: what was sent where, for tests (GET /_contexts).

Invariant: what is kept is bounded; an address counts as the user's only where the app client may say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from local_cognito.state import State

# Device fingerprints may have 128 KiB; tests look at their beginning.
_LONGEST = 1024


def record(state: State, operation: str, request: Mapping[str, Any], now: float) -> None:
    """Record the request's context, if it has one."""
    context = request.get("UserContextData", request.get("ContextData"))
    if context is None:
        return
    texts = {name: value[:_LONGEST] for name, value in context.items() if isinstance(value, str)}
    state.user_contexts.append(
        {"operation": operation, "client": request.get("ClientId"), "at": now, **texts}
    )
    # API reference, EnablePropagateAdditionalUserContextData: without it, no source address can be sent.
    if "IpAddress" in texts and _propagates(state, request.get("ClientId", "")):
        state.caller = replace(state.caller, address=texts["IpAddress"][:128])


def _propagates(state: State, client_id: str) -> bool:
    return any(
        client_id in pool.clients
        and pool.clients[client_id].settings["EnablePropagateAdditionalUserContextData"]
        for pool in state.pools.values()
    )
