"""Requests as values, for tests about the client's identity."""

from __future__ import annotations

import time

from gateway.http.headers import HeaderTable
from gateway.http.request import Peer, Request


def a_request(client: str = "127.0.0.1") -> Request:
    """Return a request from this address without a sign-in."""
    peer = Peer(
        client,
        client.encode("ascii"),
        trusted=False,
        proto=b"http",
        table=HeaderTable([], trusted=False),
        upstream_host=None,
    )
    return Request(peer, b"test-request", time.monotonic())
