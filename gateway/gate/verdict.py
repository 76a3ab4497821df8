"""The verdict of the gate on a request.

Invariant: a verdict is one of our own answers or the permission to forward; there is nothing in between.
"""

from __future__ import annotations

from typing import Literal

from gateway.http.answers import Answer
from gateway.http.request import RequestSigner


class Forward:
    """The permission to forward a request, and what to send with it."""

    __slots__ = ("authorization", "identity")

    # None: nothing has to be signed, as almost everywhere (signing.SignedForward).
    signer: RequestSigner | None = None

    def __init__(self, identity: bytes, authorization: Literal["all", "other", "none"]) -> None:
        # The identity header lines.
        self.identity = identity
        # Which Authorization values are forwarded; `other`: those that are not bearer tokens.
        self.authorization = authorization


Verdict = Forward | Answer
