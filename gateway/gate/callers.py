"""Callers of `judge` for HTTP connections: a client's own request, and forward auth.

Envoy's gRPC is the third caller (envoy/listener.py). They differ in what is judged, who may ask, and how a
verdict becomes a response; never in the order of the checks.

Invariant: a forward auth request is answered and never forwarded.
"""

from __future__ import annotations

from gateway.errors import NotFound, Refusal
from gateway.gate.forward_auth import about, allowed, endpoint_of, original
from gateway.gate.judge import Gate
from gateway.gate.steps import Steps
from gateway.gate.verdict import Verdict
from gateway.http.answers import Answer
from gateway.http.request import Asked, Request
from gateway.policy.decide import VALID_TOKEN


def for_client(gate: Gate, request: Request) -> Steps[Verdict] | Answer:
    """Judge a request that came on a client connection; what another proxy asks may be answered at once.

    Raises Refusal.
    """
    if request.raw_path.startswith(gate.endpoint):
        endpoint = endpoint_of(request.raw_path, gate.endpoint)
        if endpoint is not None:
            return _for_proxy(gate, request, endpoint)
    return gate.judge(request.asked())


def _for_proxy(gate: Gate, request: Request, endpoint: str) -> Steps[Verdict] | Answer:
    """Judge the request that another proxy asks about; untrusted peers may only ask about a token."""
    named = None
    if request.peer.trusted:
        try:
            named = original(request, endpoint)
        except Refusal:
            request.original = _unnamed(request)
            raise
    elif request.raw_path != endpoint:
        raise NotFound
    if named is None:
        asked = request.original = _unnamed(request)
    else:
        asked = request.original = about(request, named, redirects=endpoint != gate.endpoint)
        known = gate.at_once(request, asked)
        if known is not None:
            return allowed(request, known)
    return _judged(gate, asked)


def _judged(gate: Gate, asked: Asked) -> Steps[Verdict]:
    return allowed(asked.request, (yield from gate.judge(asked)))


def _unnamed(request: Request) -> Asked:
    """Return what is asked where no request is named, to which nobody could be redirected back."""
    return request.asked()._replace(elsewhere=True, need=VALID_TOKEN, redirects=False)
