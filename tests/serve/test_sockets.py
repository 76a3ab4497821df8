"""The public sockets: shared by workers, by nobody else; what a dead worker leaves waits."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.config.model import Address
from gateway.errors import GatewayError
from gateway.serve import sockets


@contextmanager
def bound(address: Address, workers: int = 1) -> Iterator[sockets.Listening]:
    made = sockets.bind(address, workers)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("workers", [1, 3])
def test_every_worker_has_a_socket_on_the_same_port(workers: int) -> None:
    with bound(Address("127.0.0.1", 0), workers) as made:
        assert len(made.slots) == workers
        assert {sock.getsockname()[1] for (sock,) in made.slots} == {made.port}
        with socket.create_connection(("127.0.0.1", made.port), 30):
            pass


def test_no_host_means_every_interface() -> None:
    with bound(Address("", 0), 2) as made:
        port = made.port
        with socket.create_connection(("127.0.0.1", port), 30):
            pass
        assert {sock.getsockname()[1] for slot in made.slots for sock in slot} == {port}


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("second", [1, 2])
def test_a_port_is_never_shared_with_another_gateway(first: int, second: int) -> None:
    with bound(Address("127.0.0.1", 0), first) as made:
        address = Address("127.0.0.1", made.port)
        with pytest.raises(GatewayError, match=rf"^listen\.address {address} is taken: [^\n]+$"):
            sockets.bind(address, second)


@pytest.mark.parametrize(
    "address",
    [
        Address("192.0.2.1", 8000),
        Address("name.invalid", 8000),
        Address("", 0, Path("/nonexistent/gateway.sock")),
        Address("", 0, Path("/tmp/" + "x" * 200)),
    ],
)
def test_an_impossible_address_is_one_sentence(address: Address) -> None:
    with pytest.raises(GatewayError) as caught:
        sockets.bind(address, 2)
    assert str(caught.value).startswith(f"listen.address {address}: cannot listen: ")
    assert "\n" not in str(caught.value)


def test_connections_to_a_worker_that_died_wait_for_its_successor() -> None:
    with bound(Address("127.0.0.1", 0), 2) as made:
        dead = [socket.socket(fileno=os.dup(slot[0].fileno())) for slot in made.slots]
        clients = [socket.create_connection(("127.0.0.1", made.port), 30) for _ in range(16)]
        for client in clients:
            client.sendall(b"hello")
        for sock in dead:
            sock.close()
        accepted = 0
        for (sock,) in made.slots:
            sock.setblocking(True)
            sock.settimeout(0.2)
            while True:
                try:
                    connection, _ = sock.accept()
                except TimeoutError:
                    break
                assert connection.recv(5) == b"hello"
                connection.close()
                accepted += 1
        assert accepted == len(clients)
        for client in clients:
            client.close()


def test_a_unix_socket_is_one_for_all_and_goes_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "g.sock"
    with bound(Address("", 0, path), 3) as made:
        assert len({sock.fileno() for slot in made.slots for sock in slot}) == 1
        assert made.port == 0
        with pytest.raises(GatewayError, match="is taken"):
            sockets.bind(Address("", 0, path))
        assert path.is_socket()
    assert not path.exists()


def test_a_unix_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "g.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with bound(Address("", 0, path)), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "g.sock"
    path.write_text("precious")
    with pytest.raises(GatewayError):
        sockets.bind(Address("", 0, path))
    assert path.read_text() == "precious"


def test_a_successors_unix_socket_stays(tmp_path: Path) -> None:
    """It is bound while we drain."""
    address = Address("", 0, tmp_path / "g.sock")
    with bound(address) as ours:
        ours.hide()
        with bound(address), socket.socket(socket.AF_UNIX) as client:
            ours.close()
            client.connect(str(address.unix))
