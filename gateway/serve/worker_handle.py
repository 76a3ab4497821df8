"""A worker process as seen by its supervisor: spawned, configured, monitored, reaped.

A new interpreter, not a fork: the supervisor has threads and an event loop that a fork would copy in part.
Invariant: after `ended`, the process is reaped and everything it reported has been read.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict

from gateway.config.model import Config
from gateway.keys.handover import HandedOver, NewestKeySets
from gateway.observe.metrics import Snapshot
from gateway.pages.once import Once
from gateway.serve import control
from gateway.serve.control import BEAT, Message
from gateway.serve.event_wait import happens

# Ticks (of BEAT seconds) without a report after which a worker is considered hung: 2 s. They are the
# supervisor's own ticks, so that a machine that was suspended, or had no CPU to spare, makes no worker look
# hung.
HUNG = round(2.0 / BEAT)
# The same before its first report, while it imports its modules: 30 s on an overloaded machine.
_HUNG_AT_START = round(30.0 / BEAT)
# Seconds to wait for the last messages of a dead worker; its own children may hold the socket open.
_LAST_WORDS = 1.0
# With the supervisor's own path: both run the same code, wherever that was started from. -P: no other
# `gateway` in the working directory is imported.
_PROGRAM = "import sys; sys.path[:] = {path!r}; from gateway.serve.worker_main import main; sys.exit(main())"


# Handles a worker's message to all others, or to what the supervisor counts.
PassOn = Callable[["Member", Message], None]


class Member:
    """A worker process with its last report: `reasons` (why it cannot decide), `snapshot` (its counters).

    It adds the key sets that it fetches to `keys`, which all workers share: a worker starts with those, and
    gets those it lacks as soon as another one has fetched them.
    """

    def __init__(self, keys: NewestKeySets, pass_on: PassOn, once: Once) -> None:
        self._keys = keys
        # The counters that all workers inherit, for what may happen only once.
        self._once = once
        self._pass_on = pass_on
        # By pool, the key sets given to it; each once, since one it refused is refused again.
        self._given: dict[str, HandedOver] = {}
        self.reasons: list[dict[str, str]] = []
        self.snapshot: Snapshot | None = None
        # The number of the configuration it serves, assigned by the supervisor.
        self.generation = -1
        self.hung = False
        # Why it cannot start, as a sentence for the user.
        self.sentence: str | None = None
        # Set by the first report, by `failed` or by the end, whichever comes first.
        self.settled = asyncio.Event()
        self._silent = 0
        self._asked = 0
        self._answered: dict[int, asyncio.Event] = {}
        self._closed = asyncio.Event()
        self._channel = control.Channel(self._received, self._closed.set)
        self._process: asyncio.subprocess.Process | None = None
        # Carries the sockets that are lent: descriptors need a plain socket, outside the event loop.
        self._lending, self._borrowing = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._lending.setblocking(False)

    @property
    def started(self) -> bool:
        """Whether it serves, as far as is known."""
        return self.snapshot is not None

    @property
    def pid(self) -> int:
        assert self._process is not None, "spawn comes first"
        return self._process.pid

    @classmethod
    async def spawn(
        cls, sockets: Sequence[socket.socket], keys: NewestKeySets, pass_on: PassOn, once: Once
    ) -> Member:
        """Start a process that waits for `serve`. Raises OSError if the system has no room for one."""
        member = cls(keys, pass_on, once)
        try:
            await member._begin(sockets)
        except BaseException:
            member._lending.close()
            raise
        finally:
            member._borrowing.close()
        return member

    async def _begin(self, sockets: Sequence[socket.socket]) -> None:
        ours, theirs = socket.socketpair()
        self._borrowed_at = self._borrowing.fileno()
        inherited = [self._once.fileno(), self._borrowed_at, *(sock.fileno() for sock in sockets)]
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-c",
                _PROGRAM.format(path=sys.path),
                stdin=theirs.fileno(),
                pass_fds=inherited,
                # Its own session: Ctrl-C in a terminal is for the supervisor.
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self._channel, sock=ours)

    def serve(self, config: Config, generation: int, sockets: Sequence[socket.socket], secret: bytes) -> None:
        self._tell(
            "start",
            configuration=control.pack(config),
            generation=generation,
            sockets=[sock.fileno() for sock in sockets],
            secret=base64.b64encode(secret).decode("ascii"),
            once=self._once.fileno(),
            lent=self._borrowed_at,
            keys=self._give(self._keys.all()),
        )

    def reload(self, config: Config, generation: int) -> None:
        self._tell("configuration", configuration=control.pack(config), generation=generation)

    def hear(self, message: Message) -> None:
        """Send it another worker's message, or an answer."""
        self._channel.send(message)

    def leave(self) -> None:
        """Make every answer the last on its connection; `drain` follows."""
        self._tell("leave")

    def lend(self, place: int, sockets: Sequence[socket.socket]) -> bool:
        """Let it accept on another slot's sockets too; return whether the message was sent."""
        return self._say(f"lend {place}", [sock.fileno() for sock in sockets])

    def give_back(self, place: int) -> None:
        """Stop it from accepting on that slot's sockets."""
        self._say(f"back {place}", [])

    def _say(self, words: str, descriptors: list[int]) -> bool:
        try:
            socket.send_fds(self._lending, [words.encode("ascii")], descriptors)
        except OSError:
            return False  # it is gone, or its queue is full
        return True

    def drain(self) -> None:
        self._tell("drain")

    async def ask(self, within: float) -> None:
        """Renew `snapshot` and `reasons`; if the worker is late, the last ones stay."""
        self._asked += 1
        number = self._asked
        answered = self._answered[number] = asyncio.Event()
        self._tell("ask", number=number)
        await happens(answered, within)
        self._answered.pop(number, None)

    def tick(self) -> None:
        """Count BEAT seconds; kill the worker if it has been silent for too long."""
        self._silent += 1
        if self._silent >= (HUNG if self.started else _HUNG_AT_START) and not self.hung:
            self.hung = True
            self.kill()

    def kill(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            process.kill()

    async def ended(self) -> int:
        """Wait for its end; return the exit code, or minus the signal's number."""
        assert self._process is not None, "spawn comes first"
        code = await self._process.wait()
        await happens(self._closed, _LAST_WORDS)
        self._channel.close()
        self._lending.close()
        self.settled.set()
        return code

    def _tell(self, kind: str, **fields: object) -> None:
        self._channel.send({"kind": kind, **fields})

    def _received(self, message: Message) -> None:
        self._silent = 0
        if message["kind"] == "failed":
            self.sentence = message["sentence"]
        elif message["kind"] in {"signed_out", "revocation"}:
            self._pass_on(self, message)
        elif message["kind"] == "report":
            self.snapshot = message["snapshot"]
            self.reasons = message["reasons"]
            self.generation = message["generation"]
            for each in message["keys"]:
                self._keys.add(HandedOver(**each))
            self._give_lacking()
            answered = self._answered.get(message["asked"])
            if answered is not None:
                answered.set()
        self.settled.set()

    def _give_lacking(self) -> None:
        """Send the key sets it lacks: the endpoint that answered the others may be down for long."""
        lacking = {reason["pool"] for reason in self.reasons if reason["component"] == "keys"}
        known = [each for each in self._keys.all() if each.pool_id in lacking]
        if news := [each for each in known if self._given.get(each.pool_id) != each]:
            self._tell("keys", keys=self._give(news))

    def _give(self, handed: Sequence[HandedOver]) -> list[dict[str, object]]:
        self._given.update((each.pool_id, each) for each in handed)
        return [asdict(each) for each in handed]
