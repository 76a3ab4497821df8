"""The attackers: `python -m bench.load.attack ATTACK` runs one (JSON) until its input ends.

It prints OPEN once every connection is established and has sent what makes the proxy hold memory or, for a
flood, when the flood begins. A flood is limited in seconds.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import stalling
from bench.load.crowd import OPEN
from bench.load.lines import ask, connect, raise_file_limit
from bench.processes import BenchError, on_cpus

# Uploads and WebSockets send until nothing more was accepted on any of them for this long, and at most this
# long in total (seconds).
_STUCK, _LONGEST = 0.5, 20.0
_PIECE = bytes(64 * 1024)
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack. `kind`: a name of HOLD or FLOOD; `seconds`: duration of a flood."""

    kind: str
    port: int
    tokens: str
    connections: int
    seconds: float = 3.0


def head(method: str, path: str, token: str = "", *lines: str) -> bytes:
    """Return a request head, with a token if given."""
    bearer = [f"Authorization: Bearer {token}"] if token else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *bearer, *lines, "", ""]).encode()


def _upgrade(path: str, token: str) -> bytes:
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    asked = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key)
    return head("GET", path, token, *asked)


# --- attacks that make the proxy hold memory: one connection each ---


def pipelined(sock: socket.socket, token: str) -> None:
    small = [f"a{number}: b" for number in range(90)]
    behind = head("GET", "/x", "", *small)
    sock.sendall(head("GET", stalling.SILENT, token) + behind * (19_000 // len(behind)))


def slow_reader(sock: socket.socket, token: str) -> None:
    sock.sendall(head("GET", stalling.LARGE, token))


def stuck_upload(sock: socket.socket, token: str) -> None:
    sock.sendall(head("PUT", stalling.DEAF, token, "Content-Length: 1000000000"))


def stalled_socket(sock: socket.socket, token: str) -> None:
    sock.sendall(_upgrade("/socket", token))
    if not sock.recv(12).startswith(b"HTTP/1.1 101"):
        raise ValueError("no 101")


def half_head(sock: socket.socket, token: str) -> None:
    sock.sendall(head("GET", "/", "", *(f"A{number}: {'b' * 250}" for number in range(100)))[:-2])


def kept_head(sock: socket.socket, token: str) -> None:
    ask(sock, head("GET", "/x", "", *(f"A{number}: {'b' * 100}" for number in range(28))))


def hello(sock: socket.socket, token: str) -> None:
    outgoing = ssl.MemoryBIO()
    client = _trusting().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    sock.sendall(outgoing.read())


def idle_tls(sock: socket.socket, token: str) -> socket.socket:
    secure = _trusting().wrap_socket(sock, server_hostname="localhost")
    ask(secure, head("GET", "/x"))
    return secure


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def push(sockets: list[socket.socket]) -> None:
    """Send until the proxy accepts no more on any of them."""
    with selectors.DefaultSelector() as selector:
        for sock in sockets:
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_WRITE)
        end = time.monotonic() + _LONGEST
        while (ready := selector.select(_STUCK)) and time.monotonic() < end:
            for key, _ in ready:
                assert isinstance(key.fileobj, socket.socket)
                with contextlib.suppress(BlockingIOError):
                    key.fileobj.send(_PIECE)


HOLD: dict[str, Callable[[socket.socket, str], socket.socket | None]] = {
    "pipelined": pipelined,
    "slow_reader": slow_reader,
    "stuck_upload": stuck_upload,
    "stalled_socket": stalled_socket,
    "half_head": half_head,
    "kept_head": kept_head,
    "hello": hello,
    "idle_tls": idle_tls,
}
# On these connections, sending continues.
PUSHED = {"stuck_upload", "stalled_socket"}

# --- attacks that delay others: (first, then repeatedly); answers are read and discarded ---

FLOOD: dict[str, Callable[[str], tuple[bytes, bytes]]] = {
    "gets": lambda token: (b"", head("GET", "/x") * 1000),
    "chunks": lambda token: (
        head("PUT", stalling.DRAIN, token, "Transfer-Encoding: chunked"),
        b"1\r\nx\r\n" * 10_000,
    ),
    "frames": lambda token: (_upgrade(stalling.FRAMES, token), b""),
}


def flood(attack: Attack, token: str) -> None:
    first, again = FLOOD[attack.kind](token)
    end = time.monotonic() + attack.seconds
    with selectors.DefaultSelector() as selector:
        for index in range(attack.connections):
            sock = connect(attack.port, index)
            sock.sendall(first)
            if attack.kind == "frames" and not sock.recv(12).startswith(b"HTTP/1.1 101"):
                raise ValueError("no 101")
            sock.setblocking(False)
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if again else 0)
            selector.register(sock, wanted, [again])
        print(OPEN, flush=True)
        while time.monotonic() < end and selector.get_map():
            for key, events in selector.select(0.05):
                if not _turn(key, events, again):
                    selector.unregister(key.fileobj)


def _turn(key: selectors.SelectorKey, events: int, again: bytes) -> bool:
    """Send and read what is possible; return False once the proxy has closed. A partial send is completed
    first."""
    sock, rest = key.fileobj, key.data
    assert isinstance(sock, socket.socket)
    try:
        if events & selectors.EVENT_READ and not sock.recv(1024 * 1024):
            return False
        if events & selectors.EVENT_WRITE:
            rest[0] = rest[0][sock.send(rest[0]) :] or again
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


def hold(attack: Attack, token: str) -> None:
    sockets = []
    for index in range(attack.connections):
        sock = connect(attack.port, index, timeout=30)
        # Small buffers, so that the proxy holds what is not read or cannot be sent; closed by a reset.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        sockets.append(HOLD[attack.kind](sock, token) or sock)
    if attack.kind in PUSHED:
        push(sockets)
    print(OPEN, flush=True)
    sys.stdin.read()


def main(attack: Attack) -> None:
    raise_file_limit()
    token = Path(attack.tokens).read_text().split()[0]
    (flood if attack.kind in FLOOD else hold)(attack, token)


@contextlib.contextmanager
def attacked(attack: Attack, cpus: frozenset[int]) -> Iterator[subprocess.Popen[str]]:
    """Run an attack during the block. Raises BenchError if it cannot start."""
    command = [sys.executable, "-m", "bench.load.attack", json.dumps(asdict(attack))]
    with on_cpus(cpus):
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdout.readline().strip() != OPEN:
            raise BenchError(f"attack {attack.kind}: {process.stderr.read().strip()[-300:]}")
        yield process
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    main(Attack(**json.loads(sys.argv[1])))
