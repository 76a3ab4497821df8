"""Callers of `judge` for HTTP connections: a client's own request, and forward auth.

Envoy's gRPC is the third caller (envoy/listener.py). They differ in what is judged, who may ask, and how a
verdict becomes a response; never in the order of the checks.

Invariant: a forward auth request is answered and never forwarded.
"""

from __future__ import annotations

from gateway.errors import NotFound
from gateway.gate.forward_auth import about, allowed, endpoint_of, original
from gateway.gate.judge import Gate
from gateway.gate.steps import Steps
from gateway.gate.verdict import Verdict
from gateway.http.answers import Answer
from gateway.http.request import Request
from gateway.policy.decide import VALID_TOKEN


def for_client(gate: Gate, request: Request) -> Steps[Verdict]:
    """Judge a request that came on a client connection."""
    if request.raw_path.startswith(gate.endpoint):
        endpoint = endpoint_of(request.raw_path, gate.endpoint)
        if endpoint is not None:
            return _for_proxy(gate, request, endpoint)
    return gate.judge(request.asked())


def _for_proxy(gate: Gate, request: Request, endpoint: str) -> Steps[Answer]:
    """Judge the request that another proxy asks about; untrusted peers may only ask about a token."""
    trusted = request.peer.trusted
    if not trusted and request.raw_path != endpoint:
        raise NotFound
    # Nobody is redirected back to a request that is not named.
    asked = request.original = request.asked()._replace(elsewhere=True, need=VALID_TOKEN, redirects=False)
    if trusted and (named := original(request, endpoint)) is not None:
        asked = request.original = about(request, named, redirects=endpoint != gate.endpoint)
    return allowed(request, (yield from gate.judge(asked)))
