"""An exchange whose request is signed (AWS SigV4) before it is sent; the body is held if it is signed too.

No other request passes through here: serving.py uses it only for a verdict with a signer. Invariant: nothing
of a request is sent to the upstream before everything that is signed has arrived, and exactly what was signed
is sent.
"""

from __future__ import annotations

import time
from copy import copy

from aiohttp.streams import EMPTY_PAYLOAD

from gateway.client.exchange import Exchange
from gateway.client.upload import body_refusal, count
from gateway.errors import BodyTooLarge
from gateway.gate.verdict import Forward
from gateway.http.request import RequestSigner
from gateway.http.request_parser import BodyBroken

_LIMIT = "upstream.sigv4.max_body_size"


class SignedForward(Forward):
    """The verdict that a request is forwarded with a signature instead of the client's Authorization."""

    __slots__ = ("signer",)

    def __init__(self, identity: bytes, signer: RequestSigner) -> None:
        super().__init__(identity, "none")
        self.signer = signer


class SignedExchange(Exchange):
    """An exchange in which `sign` replaces `prepare`."""

    __slots__ = ()

    async def sign(self) -> None:
        """Hold the body if needed, sign the request and build it. Raises Refusal."""
        forward, request = self._forward, self._request
        signer = forward.signer
        assert signer is not None, "a SignedForward has a signer"
        body = await self._whole_body(signer.max_body) if signer.holds_bodies else b""
        # The time that AWS takes for credentials is limited where they are requested.
        self._client.deadline = float("inf")
        lines = await signer.lines(request, body)
        self._forward = Forward(forward.identity + lines, "none")
        self.prepare()
        self._opening += body

    async def _whole_body(self, most: int) -> bytes:
        """Read the whole body, which makes its length known. Raises Refusal."""
        request, client, body = self._request, self._client, self._request.body
        head = request.head
        if head.content_length is not None and int(head.content_length) > most:
            raise BodyTooLarge(f"body over {most} bytes, and it must be signed", limit=_LIMIT)
        if head.expects_continue and not body.is_eof() and not request.http10:
            # RFC 9110 section 10.1.1: the upstream cannot decide, since the body must be here first.
            client.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        held = bytearray()
        self.uploading = True
        try:
            client.deadline = time.monotonic() + self._config.listen.idle_timeout
            while data := await body.readany():
                client.deadline = time.monotonic() + self._config.listen.idle_timeout
                count(request, len(data), self._config)
                held += data
                if len(held) > most:
                    raise BodyTooLarge(f"body over {most} bytes, and it must be signed", limit=_LIMIT)
        except BodyBroken as broken:
            raise body_refusal(broken) from None
        self.uploading = False
        request.body = EMPTY_PAYLOAD
        if head.chunked:
            # A copy: the client's head may be reused for its next requests.
            request.head = head = copy(head)
            head.laid_out = (None, b"")
            head.chunked, head.content_length = False, b"%d" % len(held)
        return bytes(held)
