"""The public listening sockets: bound once, by the process that owns them to the end.

With several workers, each has its own TCP socket on one port (SO_REUSEPORT: the kernel distributes
connections). The supervisor keeps them open too: connections to a worker that died wait in its queue for the
successor. A Unix socket is shared by all.

Invariant: an address in use is refused, even where SO_REUSEPORT would let two gateways share it unnoticed;
only socket files that were bound here are removed.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from gateway.config.model import Address, Config
from gateway.errors import GatewayError

# Connections that the kernel queues while the loop is busy; limited by net.core.somaxconn (4096).
BACKLOG = 4096


class Listening:
    """The sockets of one gateway. `slots`: those of each worker, one per address of the host name."""

    def __init__(self, slots: list[list[socket.socket]], file: Path | None = None) -> None:
        self.slots = slots
        self._file = file
        name = slots[0][0].getsockname()
        # The TCP port, the actual one if the configuration says 0; 0 for a Unix socket.
        self.port = int(name[1]) if isinstance(name, tuple) else 0

    def hide(self) -> None:
        """Remove a Unix socket's file, once: a file found there later is a successor's."""
        file, self._file = self._file, None
        if file is not None:
            file.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop listening: the last holder's close ends it for good. Idempotent."""
        self.hide()
        for slot in self.slots:
            for sock in slot:
                sock.close()


def bind(address: Address, workers: int = 1) -> Listening:
    """Bind and listen, for this number of workers. Raises GatewayError."""
    try:
        if address.unix is not None:
            shared = _bind_unix(address.unix)
            return Listening([[shared] for _ in range(workers)], address.unix)
        return Listening(_bind_tcp(address, workers))
    except OSError as error:
        raise GatewayError(cannot_listen("listen.address", address, error)) from error


def require_free(address: Address, key: str) -> None:
    """Raise GatewayError if the address is in use; for listeners that could share it unnoticed."""
    try:
        if address.unix is None:
            for sock in _bind_tcp(address, 1)[0]:
                sock.close()
        elif address.unix.is_socket() and somebody_listens(address.unix):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    except OSError as error:
        raise GatewayError(cannot_listen(key, address, error)) from error


def require_all_free(listeners: Mapping[str, Address | None]) -> None:
    """Raise GatewayError, naming every key whose address cannot be bound."""
    failed = []
    for key, address in listeners.items():
        if address is not None:
            try:
                require_free(address, key)
            except GatewayError as error:
                failed.append(str(error))
    if failed:
        raise GatewayError("; ".join(failed))


def listeners_of(config: Config) -> dict[str, Address | None]:
    """Return the addresses that a gateway with this configuration listens on, by key."""
    return {
        "listen.address": config.listen.address,
        "metrics.address": config.metrics.address,
        "ext_authz.grpc_address": config.ext_authz.grpc_address,
    }


def _bind_tcp(address: Address, workers: int) -> list[list[socket.socket]]:
    infos = socket.getaddrinfo(
        address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    # A name may resolve to the same address twice.
    places = list(dict.fromkeys((family, name) for family, _, _, _, name in infos))
    with ExitStack() as undo:
        bound = []
        port = address.port
        for family, name in places:
            try:
                probe = undo.enter_context(_tcp(family, (name[0], port, *name[2:]), shared=False))
            except OSError as error:
                # All interfaces were requested, and this machine has no IPv6.
                if error.errno in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL} and not address.host:
                    continue
                raise
            port = probe.getsockname()[1]
            bound.append(probe)
        if not bound:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        slots = [bound] if workers == 1 else _share(bound, workers, undo)
        for slot in slots:
            for sock in slot:
                sock.listen(BACKLOG)
        undo.pop_all()
        return slots


def _share(probes: list[socket.socket], workers: int, undo: ExitStack) -> list[list[socket.socket]]:
    """Bind the same addresses once per worker. The probes showed that they are free, and close first."""
    places = [(probe.family, probe.getsockname()) for probe in probes]
    for probe in probes:
        probe.close()
    return [
        [undo.enter_context(_tcp(family, name, shared=True)) for family, name in places]
        for _ in range(workers)
    ]


def _tcp(family: int, name: tuple[str | int, ...], *, shared: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # As asyncio does: a predecessor's connections in TIME_WAIT are no reason to refuse.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # Otherwise it takes the IPv4 port as well.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(name)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.setblocking(False)
        if path.is_socket():
            if somebody_listens(path):
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            path.unlink()  # left behind by a process that was killed
        sock.bind(str(path))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def somebody_listens(path: Path) -> bool:
    """Return whether a Unix socket is in use, rather than a file left behind."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(path)) in {0, errno.EAGAIN}  # EAGAIN: its backlog is full


def cannot_listen(key: str, address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{key} {address} is taken: stop the program that listens there, or choose another"
    return f"{key} {address}: cannot listen: {_why(address, error)}"


def _why(address: Address, error: OSError) -> str:
    """Return the system's message, and what to do."""
    message = (error.strerror or str(error)).lower()
    if error.errno == errno.EACCES and address.unix is not None:
        return f"{message}: let uid {os.geteuid()} write {address.unix.parent}, or choose another folder"
    if error.errno == errno.EACCES:
        return (
            f"{message}: ports below 1024 need the capability CAP_NET_BIND_SERVICE (AmbientCapabilities= of "
            "systemd, cap_add of a container); or choose a port from 1024 on"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{message}: this machine does not have the address; :{address.port} listens on all it has"
    if error.errno == errno.ENOENT and address.unix is not None:
        return f"{message}: create the folder {address.unix.parent} first"
    if isinstance(error, socket.gaierror):
        return f"{message}: use an address of this machine"
    return message
