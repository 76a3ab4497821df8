"""One exchange: a request forwarded to the upstream and its answer back, streamed with back-pressure.

The answer's head and the part of its body from the same read go to the client in one write. A request body
that did not arrive complete with its head is sent by upload.py.

Invariant: an answer that broke off never looks complete (the client's connection is reset), and whatever ends
an exchange (answer, failure, client gone, time limit) ends it once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from aiohttp.streams import EMPTY_PAYLOAD

from gateway.client.client_side import ClientSide
from gateway.client.upload import Upload, body_refusal, count, framed
from gateway.config.model import Config
from gateway.errors import BodyTooLarge, Refusal, SlowClient, UpstreamSilent
from gateway.gate.verdict import Forward
from gateway.http import caching
from gateway.http.answers import connection_line, private
from gateway.http.headers import bearer_free, upstream_head
from gateway.http.request import Request
from gateway.http.streams import Lease, signed_out
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.response_parser import AnswerHead

# RFC 9110 section 9.2.2: repeating these has the effect of one request.
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
# Bytes of a request that fit into any upstream's receive buffer (Linux: at least 64 KiB).
_SMALL = 16 * 1024


class Exchange:
    """One forwarded request. Receives the upstream's answer (AnswerListener) and writes it to the client."""

    __slots__ = (
        "_chunked_out",
        "_client",
        "_config",
        "_ended",
        "_forward",
        "_keep_alive",
        "_lease",
        "_opening",
        "_repeatable",
        "_request",
        "_upload",
        "_upstream",
        "answering",
        "uploading",
    )

    def __init__(self, client: ClientSide, request: Request, forward: Forward, config: Config) -> None:
        self._client = client
        self._request = request
        self._forward = forward
        self._config = config
        self._upstream: UpstreamConnection | None = None
        self._opening = b""
        # None: the body arrived with the head, or is held (signing.py).
        self._upload: Upload | None = None
        self._repeatable = False
        self._keep_alive = request.keep_alive
        self._chunked_out = False
        self._ended = False
        # For an event stream of a signed-in user.
        self._lease: Lease | None = None
        # Whether any byte of the final answer was sent: from then on a failure can only reset the connection.
        self.answering = False
        # Whether part of the request's body is still to come.
        self.uploading = False

    # --- the request, towards the upstream ---

    def start(self, upstream: UpstreamConnection) -> None:
        """Send the request on this connection, with its body if that has arrived. `prepare` comes first.

        Called again with a fresh connection after `ClientSide.redo`.
        """
        request = self._request
        if upstream.reused and not self._repeatable and upstream.ended:
            # Nothing was written, so even a POST may be sent elsewhere (RFC 9110 section 9.2.2).
            upstream.abort()
            self._client.redo()
            return
        self._upstream = upstream
        upstream.lend(
            self,
            head_only=request.method == "HEAD",
            request_complete=not self.uploading,
            upgrade=request.upgrade,
        )
        request.sent_at = now = time.monotonic()
        self._client.deadline = now + self._config.upstream.response_timeout
        upstream.post(self._opening, self._client.outbox)
        if self.uploading or len(self._opening) > _SMALL:
            self._let_stall(upstream)
        if self.uploading:
            self._upload = Upload(self, self._client, request, self._config)
            self._upload.start(upstream)

    def _let_stall(self, upstream: UpstreamConnection) -> None:
        """Allow the upstream to leave sent data unread for as long as it may be silent."""
        limits = self._config.upstream
        upstream.be_patient(max(limits.response_timeout, limits.idle_timeout))

    @property
    def upload_room(self) -> int:
        """Bytes of the request's body that the kernel accepts at once; 0: unknown, or no upload."""
        upstream = self._upstream
        return 0 if upstream is None or not self.uploading else upstream.room

    def prepare(self) -> None:
        """Build the bytes to send first: the head, and a body that has arrived complete.

        Raises Refusal for a body that is over the limit or broken, before the upstream sees anything of it.
        """
        request, body = self._request, self._request.body
        self._repeatable = request.method in _IDEMPOTENT
        if body is EMPTY_PAYLOAD and not request.head.chunked:
            self._opening = self._head()
            return
        limit, announced = self._config.listen.max_body_size, request.head.content_length
        if limit and announced is not None and int(announced) > limit:
            raise BodyTooLarge(f"body over {limit} bytes")
        broken = body.exception()
        if broken is not None:
            raise body_refusal(broken)
        self._opening = self._head()
        if not body.is_eof():
            self.uploading = True
            self._repeatable = False
            return
        data = b"" if body.at_eof() else body.read_nowait(-1)
        count(request, len(data), self._config)
        self._opening += framed(request, data)
        if request.head.chunked:
            self._opening += b"0\r\n\r\n"

    def _head(self) -> bytes:
        request, forward, head = self._request, self._forward, self._request.head
        passed: Sequence[bytes] = ()
        if forward.authorization == "all":
            passed = request.credentials
        elif forward.authorization == "other":
            passed = bearer_free(request.credentials)
        ours, tracing = forward.identity, request.peer.tracing
        if not self._config.upstream.reuse_connections and not request.upgrade:
            ours += b"Connection: close\r\n"
        if tracing is not None:
            ours += tracing.upstream_lines(request)
        return upstream_head(
            head,
            request_line=f"{request.method} {request.raw_path}{request.query} HTTP/1.1\r\n".encode("ascii"),
            identity=ours,
            authorization=passed,
            request_id=request.request_id,
            client=request.peer.address_bytes,
            proto=request.peer.proto,
            host=request.peer.upstream_host,
            expects_continue=head.expects_continue and not request.body.is_eof() and not request.http10,
            upgrade=request.upgrade,
        )

    # --- called by the upload (upload.UploadOwner) ---

    def body_sent(self) -> None:
        self.uploading = False
        if not self.answering:
            self._client.deadline = time.monotonic() + self._config.upstream.response_timeout

    def body_failed(self, refusal: Refusal) -> None:
        """End the exchange: the request's body broke off, is too large, or too slow."""
        if self._ended:
            return
        self._release()
        self._give_up(refusal)

    def _give_up(self, refusal: Refusal) -> None:
        """Refuse while an answer can still be sent; otherwise reset the connection."""
        self._ended = True
        if self.answering:
            self._client.cut(refusal)
        else:
            self._client.refuse(refusal)

    # --- the answer, towards the client ---

    def answer_interim(self, head: AnswerHead) -> None:
        """Pass on a 1xx answer, except to HTTP/1.0 clients (RFC 9110 section 15.2)."""
        if head.status == 100 and (self._upload is None or not self._upload.continued()):
            return
        if not self._request.http10:
            self._client.write(b"".join((head.status_line, *self._lines_of(head), b"\r\n")))

    def _lines_of(self, head: AnswerHead) -> list[bytes]:
        """Return the upstream's header lines without cookies named like ours, which could replace a
        session."""
        if not head.sets_cookies:
            return head.lines
        cookies = self._request.peer.table.cookies
        return [line for line in head.lines if not cookies.set_by(line)]

    def answer_started(self, head: AnswerHead, body: list[bytes], end: list[bytes] | None) -> None:
        request = self._request
        request.status = head.status
        request.upstream_seconds = time.monotonic() - request.sent_at
        if self.uploading or request.upgrade or self._client.closing:
            self._keep_alive = False
        parts = [head.status_line, *(self._lines_of(head) if head.sets_cookies else head.lines)]
        if request.method == "HEAD" or head.status in {204, 304}:
            # RFC 9110 section 8.6: the length that a GET would have may be announced here; not on a 204.
            if head.content_length is not None and head.status != 204:
                parts.append(b"Content-Length: %b\r\n" % head.content_length)
        elif head.content_length is not None:
            parts.append(b"Content-Length: %b\r\n" % head.content_length)
        elif request.http10:
            # RFC 9112 section 6.1: no chunks for HTTP/1.0; closing the connection ends the body.
            self._keep_alive = False
        else:
            self._chunked_out = True
            parts.append(b"Transfer-Encoding: chunked\r\n")
        if request.peer.cors is not None:
            parts.append(request.peer.cors.proxied_lines(request, head.lines))
        if request.vary:
            parts.append(request.vary)
        if request.by_cookie:
            parts.append(caching.by_cookie(head.lines))
        if request.answer_lines:
            parts.append(private(request.answer_lines))
        parts.append(connection_line(keep_alive=self._keep_alive, http10=request.http10))
        parts.append(b"\r\n")
        self.answering = True
        streams = request.peer.streams
        if head.event_stream and end is None and request.principal is not None and streams is not None:
            counted = head.content_length is not None
            self._lease = Lease(request, self, self._config, streams, counted=counted)
        self._send(parts, body, end)

    def answer_continued(self, body: list[bytes], end: list[bytes] | None) -> None:
        self._send([], body, end)

    def _send(self, parts: list[bytes], body: list[bytes], end: list[bytes] | None) -> None:
        client = self._client
        if body:
            size = len(body[0]) if len(body) == 1 else sum(map(len, body))
            self._request.response_bytes += size
            if self._chunked_out:
                parts.append(b"%x\r\n" % size)
                parts += body
                parts.append(b"\r\n")
            else:
                parts += body
        if end is not None and self._chunked_out:
            # RFC 9112 section 7.1.2: last chunk, trailers, empty line.
            parts += (b"0\r\n", *end, b"\r\n")
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if end is not None:
            client.post(data)
            self._finish()
            return
        client.write(data)
        if client.writable:
            self._wait(self._config.upstream.idle_timeout)
        elif self._upstream is not None:
            # The client does not keep up: stop reading from the upstream until it does.
            self._upstream.pause_reading()
            self._wait(self._config.listen.idle_timeout)

    def _wait(self, seconds: float) -> None:
        """Wait this long for more of the answer; an event stream ends with its token, if that is sooner."""
        deadline = time.monotonic() + seconds
        self._client.deadline = deadline if self._lease is None else self._lease.wait(deadline)

    def _finish(self) -> None:
        self._upstream = None
        self._ended = True
        self._end_upload()
        self._client.exchange_ended(keep_alive=self._keep_alive)

    def answer_upgraded(self, head: AnswerHead, early: bytes) -> None:
        """Pass on the 101 (RFC 6455 section 4.2.2); everything after it is not HTTP."""
        request = self._request
        request.status = head.status
        request.upstream_seconds = time.monotonic() - request.sent_at
        ours = request.answer_lines + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        lines = (head.status_line, *self._lines_of(head), ours)
        self._client.write(b"".join(lines))
        upstream, self._upstream = self._upstream, None
        self._ended = True
        self._end_upload()
        if upstream is not None:
            self._let_stall(upstream)
            self._client.tunnel_started(upstream, early)

    def answer_failed(self, refusal: Refusal) -> None:
        """End the exchange, or retry once if a reused connection was closed before it answered."""
        upstream, self._upstream = self._upstream, None
        if self._ended:
            return
        again = upstream is not None and upstream.reused and not upstream.answered
        if upstream is not None and again and (self._repeatable or upstream.unsent):
            self._end_upload()
            self._client.redo()
            return
        self._release()
        self._give_up(refusal)

    def room(self) -> int:
        return self._client.room

    def upload_resumed(self) -> None:
        if self._upload is not None:
            self._upload.resumed()

    # --- called by the client's connection ---

    def client_drained(self) -> None:
        """Resume reading: the client keeps up again."""
        if self._upstream is not None:
            self._wait(self._config.upstream.idle_timeout)
            self._upstream.resume_reading()

    def client_gone(self) -> None:
        """Abort the upstream's connection: nobody receives the answer any more."""
        self._ended = True
        self._release()

    def expired(self) -> None:
        """Handle the passed deadline: decide which side was silent."""
        if self._ended or (self._lease is not None and self._goes_on(self._lease)):
            return
        upload = self._upload
        uploads = self.uploading and (upload is None or upload.waits_for_client)
        self._release()
        if uploads or not self._client.writable:
            self._give_up(SlowClient("silence while sending the request or taking the answer"))
        elif self.answering or (upload is not None and upload.waits_for_room):
            self._give_up(UpstreamSilent("silence inside a body", limit="upstream.idle_timeout"))
        else:
            self._give_up(UpstreamSilent("silence"))

    # --- an event stream whose token or session ends ---

    def _goes_on(self, lease: Lease) -> bool:
        """Return whether the deadline was the lease's. Ends the stream if its token is no longer valid."""
        over = lease.over()
        if over is not None:
            self._end_stream(lease, over)
            return True
        again = lease.again()
        if again is not None:
            self._client.deadline = again
        return again is not None

    def signed_out(self) -> None:
        """End the stream: the session that opened it was signed out (streams.Stream)."""
        if not self._ended and self._lease is not None:
            self._end_stream(self._lease, signed_out())

    def _end_stream(self, lease: Lease, refusal: Refusal) -> None:
        """End an event stream. Readers discard an incomplete event and reconnect (HTML Standard section
        9.2.6), so it may end anywhere; one with an announced length is cut."""
        self._release()
        self._request.failure = refusal.reason
        if self._chunked_out:
            self._client.post(b"0\r\n\r\n")
        elif lease.counted:
            self._give_up(refusal)
            return
        self._finish()

    def _release(self) -> None:
        """Release the upstream's connection and the upload."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()
        self._end_upload()

    def _end_upload(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.stop()
        if self._lease is not None:
            self._lease.end()
