"""The main program of a worker process: serves what the supervisor sends, and reports.

worker_handle.py starts it with its end of the control socket as standard input, and the listening sockets as
inherited descriptors. Invariant: when the supervisor's end closes, for whatever reason, it drains and exits;
signals are handled by the supervisor.
"""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import socket
import sys
from dataclasses import asdict

from gateway.errors import GatewayError
from gateway.http.streams import SignOut
from gateway.keys.handover import HandedOver
from gateway.observe.logs import Logger, configure
from gateway.observe.metrics import WorkerMetrics
from gateway.pages.once import Once
from gateway.serve import control
from gateway.serve.control import Message
from gateway.serve.event_wait import happens
from gateway.serve.loops import run, settle
from gateway.serve.server import Server
from gateway.serve.shared_revocation import SupervisedVerdicts

# Limits of a message about lent sockets: bytes, and sockets of one slot (one per address of a host name).
_WORDS, _MOST_SOCKETS = 64, 64
# Seconds for the last report to be sent.
_FAREWELL = 1.0


def main() -> int:
    """Run a worker until it ends; return the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # Terminals and systemd send them to every process; the supervisor decides who stops when.
        signal.signal(number, signal.SIG_IGN)
    return run(_main())


async def _main() -> int:
    child = _Child()
    # A copy, so that nothing else uses it as standard input.
    await asyncio.get_running_loop().create_unix_connection(
        lambda: child.channel, sock=socket.socket(fileno=os.dup(sys.stdin.fileno()))
    )
    return await child.live()


class _Child:
    def __init__(self) -> None:
        self.channel = control.Channel(self._received, self._alone)
        self._verdicts = SupervisedVerdicts(self.channel.send)
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._orphaned = asyncio.Event()
        self._metrics = WorkerMetrics()
        self._server: Server | None = None
        self._generation = 0
        # The key sets that the supervisor knows of.
        self._handed_over: list[HandedOver] = []

    def _received(self, message: Message) -> None:
        # At once: the supervisor is waiting, and the answer needs nothing that is awaited here.
        if message["kind"] == "ask":
            self._report(asked=message["number"])
        elif message["kind"] == "claim":
            self._verdicts.received(message)
        else:
            self._messages.put_nowait(message)

    def _alone(self) -> None:
        self._orphaned.set()
        self._messages.put_nowait({"kind": "drain"})

    async def live(self) -> int:
        order = await self._messages.get()
        if order["kind"] != "start":
            return 0  # the supervisor ended before it sent anything
        config = control.unpack(order["configuration"])
        log = configure(config.log)
        self._handed_over = [HandedOver(**each) for each in order["keys"]]
        try:
            self._server = Server(
                config,
                metrics=self._metrics,
                log=log,
                secret=base64.b64decode(order["secret"]),
                once=Once(order["once"]),
                keys=self._handed_over,
                verdicts=self._verdicts,
                tell_sign_out=self._tell_sign_out,
            )
            await self._server.start([socket.socket(fileno=number) for number in order["sockets"]])
        except GatewayError as error:
            self.channel.send({"kind": "failed", "sentence": str(error)})
            await self._farewell(log)
            return 1
        self._generation = order["generation"]
        loop, lent = asyncio.get_running_loop(), socket.socket(fileno=order["lent"])
        loop.add_reader(lent, self._lent, lent, self._server)
        beats = asyncio.create_task(self._beat(), name="reports")
        settle()
        await self._obey(self._server)
        loop.remove_reader(lent)
        lent.close()
        await self._server.drain(asyncio.Event())
        beats.cancel()
        self._report()
        await self._farewell(log)
        return 0

    async def _obey(self, server: Server) -> None:
        """Follow the supervisor's messages until it says drain, or is gone."""
        while (order := await self._messages.get())["kind"] != "drain":
            if order["kind"] == "configuration":
                await server.swap(control.unpack(order["configuration"]))
                self._generation = order["generation"]
                self._report()
            elif order["kind"] == "leave":
                server.leave()
            elif order["kind"] == "keys":
                server.app.key_sets.take_over([HandedOver(**each) for each in order["keys"]])
            elif order["kind"] == "signed_out":
                server.app.streams.hear(SignOut(*order["sign_out"]))

    def _lent(self, channel: socket.socket, server: Server) -> None:
        """Start or stop accepting for a slot without a serving worker."""
        words, descriptors, _, _ = socket.recv_fds(channel, _WORDS, _MOST_SOCKETS)
        what, _, place = words.decode("ascii").partition(" ")
        if what == "lend":
            server.borrow(int(place), [socket.socket(fileno=number) for number in descriptors])
        else:
            server.give_back(int(place))

    def _tell_sign_out(self, sign_out: SignOut) -> None:
        self.channel.send({"kind": "signed_out", "sign_out": sign_out})

    async def _beat(self) -> None:
        while True:
            self._report()
            await asyncio.sleep(control.BEAT)

    def _report(self, *, asked: int | None = None) -> None:
        if self._server is not None:
            held = self._server.app.key_sets.handed_over()
            news = [asdict(each) for each in held if each not in self._handed_over]
            self._handed_over = held
            self.channel.send(
                {
                    "kind": "report",
                    "asked": asked,
                    "generation": self._generation,
                    "reasons": self._server.unready(),
                    "keys": news,
                    "snapshot": self._metrics.snapshot(),
                }
            )

    async def _farewell(self, log: Logger) -> None:
        self.channel.close()
        await happens(self._orphaned, _FAREWELL)
        log.close()


if __name__ == "__main__":
    sys.exit(main())
