"""One request in service: judged, forwarded or answered, recorded.

It drives the generator of `judge` (gate/steps.py): what can be decided without waiting is decided where the
head was read; new tokens are verified at the end of the event loop's turn (batch.py); a task starts only if
something must be waited for.

Invariant: every failure refuses the request, which ends once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine

from gateway.client.batch import Batch
from gateway.client.client_side import ClientSide
from gateway.client.exchange import Exchange
from gateway.client.signing import SignedExchange
from gateway.errors import InternalError, Refusal
from gateway.gate.application import Application
from gateway.gate.authenticate import Verification
from gateway.gate.callers import for_client
from gateway.gate.steps import Steps, Wanted, finish
from gateway.gate.verdict import Forward, Verdict
from gateway.http.answers import Answer, render
from gateway.http.request import Peer, Request
from gateway.http.request_parser import BodyBroken


class Served:
    """A request from its head to its log record."""

    __slots__ = ("_steps", "_task", "app", "client", "exchange", "over", "request")

    def __init__(self, client: ClientSide, app: Application, request: Request) -> None:
        self.client = client
        self.app = app
        self.request = request
        # None: not forwarded, or not yet.
        self.exchange: Exchange | None = None
        self.over = False
        # `judge`, suspended while its token is verified in a batch.
        self._steps: Steps[Verdict] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def answering(self) -> bool:
        """Whether any byte of the answer was sent to the client."""
        return self.exchange is not None and self.exchange.answering

    # --- judged ---

    def judge(self, batch: Batch) -> None:
        request, app = self.request, self.app
        try:
            known: Verdict | None = app.gate.at_once(request)
            if known is None:
                judged = for_client(app.gate, request)
                if isinstance(judged, Answer):
                    known = judged
                else:
                    steps = judged
                    wanted = next(steps)
        except StopIteration as done:
            known = done.value
        except Exception as error:  # noqa: BLE001 - whatever it is, fail closed
            self.stop(error)
            return
        if known is not None:
            self._follow(known)
        elif isinstance(wanted, Verification):
            # Verified by the end of this turn; meanwhile the connection's own limit must not expire.
            self.client.deadline = request.started + app.config.listen.header_timeout
            self._steps = steps
            batch.add(self, wanted)
        else:
            self._wait(self._judged(steps, wanted))

    def _follow(self, verdict: Verdict) -> None:
        """Carry out the verdict."""
        try:
            if isinstance(verdict, Forward):
                if verdict.signer is None:
                    app = self.app
                    exchange = self.exchange = Exchange(self.client, self.request, verdict, app.config)
                    exchange.prepare()
                    connection = app.pool.take(self.request, self.request.started)
                    if connection is not None:
                        exchange.start(connection)
                        return
                else:
                    self.exchange = SignedExchange(self.client, self.request, verdict, self.app.config)
            else:
                self._answer(verdict)
                return
        except Exception as error:  # noqa: BLE001 - whatever it is, fail closed
            self.stop(error)
            return
        self._wait(self._sent())

    def stop(self, error: Exception) -> None:
        """Refuse the request, for its own reason or for a bug of ours."""
        if isinstance(error, Refusal):
            self.refuse(error)
        else:
            self.failed(error)
            self.refuse(InternalError())

    # --- batched verification of the token (batch.Batched) ---

    def take(self, step: Callable[[], None]) -> None:
        if self._steps is None:
            return  # the client left, or an earlier step failed
        try:
            step()
        except Exception as error:  # noqa: BLE001 - judge interprets it
            self.go_on(error)

    def go_on(self, error: Exception | None = None) -> None:
        """Resume `judge`, with the error of a step if there was one."""
        steps, self._steps = self._steps, None
        if steps is None:
            return
        try:
            wanted = next(steps) if error is None else steps.throw(error)
        except StopIteration as done:
            verdict: Verdict = done.value
        except Exception as refused:  # noqa: BLE001 - whatever it is, fail closed
            self.stop(refused)
            return
        else:
            self._wait(self._judged(steps, wanted))
            return
        finally:
            del error  # its traceback refers to this frame: a reference cycle
        self._follow(verdict)

    def abort(self) -> None:
        if not self.over:
            self.client.abort()

    # --- waiting ---

    def _wait(self, way: Coroutine[None, None, None]) -> None:
        self._task = asyncio.get_running_loop().create_task(way)

    async def _judged(self, steps: Steps[Verdict], wanted: Wanted) -> None:
        """Await what `judge` needs (keys, a session, a page, Redis), then carry out its verdict."""
        try:
            # The waits have their own limits.
            self.client.deadline = float("inf")
            self._follow(await finish(steps, wanted))
        except Exception as error:  # noqa: BLE001 - whatever it is, fail closed
            self.stop(error)

    async def _sent(self, *, again: bool = False) -> None:
        """Await a signature and a connection to the upstream, then start the exchange.

        `again`: the retry; it avoids idle connections, which may all be closed, and is not repeated.
        """
        app, request, exchange = self.app, self.request, self.exchange
        if exchange is None:
            return
        try:
            # The waits have their own limits.
            self.client.deadline = float("inf")
            if isinstance(exchange, SignedExchange) and not again:
                await exchange.sign()
            connection = None if again else app.pool.take(request, time.monotonic())
            if connection is None:
                connection = await app.pool.connect(request)
            if again:
                connection.reused = False
            exchange.start(connection)
        except Exception as error:  # noqa: BLE001 - whatever it is, fail closed
            self.stop(error)

    def redo(self) -> None:
        """Send the request again on a new connection: the reused one had been closed."""
        self._wait(self._sent(again=True))

    # --- how it ends ---

    def failed(self, error: Exception) -> None:
        """Record a bug of ours; the refusal follows."""
        self.app.record.failed(self.request, error)

    def body_broke(self, refusal: Refusal) -> None:
        """Mark the body as broken, for its current or future reader."""
        self.request.body.set_exception(BodyBroken(refusal.reason), refusal)

    def refuse(self, refusal: Refusal) -> None:
        if not self.over:
            self._answer(self.app.record.refuse(self.request, refusal))

    def _answer(self, answer: Answer) -> None:
        """Send an answer of our own."""
        if self.over:
            return
        request, client = self.request, self.client
        # A body still on its way would be parsed as the next request.
        keep_alive = request.keep_alive and request.body.is_eof() and not answer.close and not client.closing
        request.status = answer.status
        head_only = request.method == "HEAD"
        request.response_bytes = 0 if head_only else len(answer.body)
        more = request.answer_lines
        if request.peer.cors is not None:
            more += request.peer.cors.own_lines(request, answer)
        data = render(answer, keep_alive=keep_alive, http10=request.http10, head_only=head_only, more=more)
        client.post(data)
        if answer.close:
            # A client that sends malformed data may go on sending.
            client.request_ended()
            client.close(lingering=True)
        else:
            client.exchange_ended(keep_alive=keep_alive)

    def end(self) -> None:
        """End the request and record it. Idempotent; called by the connection's `request_ended`."""
        if self.over:
            return
        self.over = True
        self.exchange = self._steps = None
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        self.app.record.ended(self.request)


def refuse_unread(client: ClientSide, app: Application, peer: Peer, refusal: Refusal) -> None:
    """Answer a request whose head never arrived complete."""
    request = Request(peer, app.request_ids.next(), time.monotonic())
    app.record.began(request)
    answer = app.record.refuse(request, refusal)
    request.status = answer.status
    request.response_bytes = len(answer.body)
    client.write(render(answer, keep_alive=False, http10=False, head_only=False))
    app.record.ended(request)
    client.close(lingering=True)
