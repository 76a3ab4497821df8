"""What the gate decides about a request.

Invariant: a verdict is an answer of ours or the permission to forward; there is nothing in between.
"""

from __future__ import annotations

from typing import Literal

from gateway.http.answers import Answer
from gateway.http.request import RequestSigner


class Forward:
    """The verdict that a request may go on, and with what."""

    __slots__ = ("authorization", "identity")

    # None: nothing has to be signed, as nearly everywhere (signing.SignedForward).
    signer: RequestSigner | None = None

    def __init__(self, identity: bytes, authorization: Literal["all", "other", "none"]) -> None:
        # Header lines that say who the principal is.
        self.identity = identity
        # Which Authorization values travel on; `other`: those that are no bearer token.
        self.authorization = authorization


Verdict = Forward | Answer
