"""The gRPC listener of Envoy's ext_authz: each Check is decided by the current configuration.

Peers are trusted: anyone who can reach this address may ask about any request, as Envoy must, and receives
only verdicts.

Invariant: a check that cannot be decided is never answered with OK.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import grpc
from google.protobuf.message import DecodeError

from gateway.config.model import Address
from gateway.envoy import messages
from gateway.errors import GatewayError, InternalError, Refusal
from gateway.gate.application import Application
from gateway.gate.steps import begin, finish
from gateway.gate.verdict import Forward, Verdict
from gateway.http.answers import Answer
from gateway.http.request import Request

# The service that Envoy calls; our message package has another name (ext_authz.proto).
SERVICE = "envoy.service.auth.v3.Authorization"
# Bytes of one message. Envoy accepts request heads of 60 KiB by default; gRPC's default of 4 MiB would be
# decoded in one turn of the event loop.
_MAX_MESSAGE = 128 * 1024
# Concurrent checks, per connection and in total: with the largest messages they hold 64 MiB. One more is
# refused, which Envoy treats as a denial. A decision takes 0.3 ms: so many accumulate only while keys are
# fetched.
_CHECKS = 512


class GrpcListener:
    """Serves SERVICE from `start` to `stop`."""

    def __init__(self, address: Address, decider: Callable[[], Application], *, shared: bool) -> None:
        """`shared`: several workers listen on this address, and the kernel distributes connections."""
        self._address = address
        self._decider = decider
        self._server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", int(shared)),
                ("grpc.max_receive_message_length", _MAX_MESSAGE),
                ("grpc.max_concurrent_streams", _CHECKS),
            ],
            maximum_concurrent_rpcs=_CHECKS,
        )
        # Bytes both ways: gRPC would log a traceback for every malformed message.
        check: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(self._check)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"Check": check}),)
        )
        # Responses to allowed requests (messages.allowed).
        self._made: dict[object, bytes] = {}
        # The actual port if the configuration says 0.
        self.port = 0

    async def start(self) -> None:
        """Start listening. Raises GatewayError if the address cannot be bound."""
        try:
            self.port = self._server.add_insecure_port(str(self._address))
        except RuntimeError:
            problem = "cannot be bound, or is in use: stop the program that listens there, or choose another"
            raise GatewayError(f"ext_authz.grpc_address {self._address} {problem}") from None
        await self._server.start()

    async def stop(self, grace: float) -> None:
        """Accept no more checks; those in progress have `grace` seconds. Idempotent."""
        await self._server.stop(grace)

    async def _check(self, message: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        try:
            check = messages.EnvoysCheck(message)
        except DecodeError:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not a CheckRequest")
        except ValueError as unknown:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(unknown))
        decider = self._decider()
        try:
            peer = decider.peer(check.address, secure=check.secure)
        except ValueError:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the source has no IP address")
        request = Request(peer, decider.request_ids.next(), time.monotonic())
        decider.record.began(request)
        try:
            return await self._answer(decider, request, check)
        finally:
            decider.record.ended(request)

    async def _answer(self, decider: Application, request: Request, check: messages.EnvoysCheck) -> bytes:
        try:
            try:
                asked = request.original = messages.read(request, check)
            except Refusal:
                request.original = messages.unread(request, check)
                raise
            verdict: Verdict | None = decider.gate.at_once(request, asked)
            if verdict is None:
                steps = decider.gate.judge(asked)
                verdict = await finish(steps, begin(steps))
            if isinstance(verdict, Forward):
                response = messages.allowed(request, check, verdict, self._made)
                request.status = 200
                return response
            answer: Answer = verdict
        except Refusal as refusal:
            answer = decider.record.refuse(request, refusal)
        except Exception as error:  # noqa: BLE001 - whatever it is, fail closed
            decider.record.failed(request, error)
            answer = decider.record.refuse(request, InternalError())
        request.status = answer.status
        cors = request.peer.cors
        return messages.denied(answer, b"" if cors is None else cors.own_lines(request, answer))
