"""The attackers against the attacks' own upstream, and the table that shows what came of them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bench import stalling
from bench.certificate import write_self_signed
from bench.load.attack import FLOOD, HOLD, Attack, attacked
from bench.processes import BenchError, fetch, free_port
from bench.report import Entry, Outcome, table
from bench.works import WORKS

CPUS = frozenset({0})
PLAIN = [kind for kind in HOLD if kind not in {"hello", "idle_tls"}]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with ExitStack() as stack:
        yield stalling.start(stack, tmp_path_factory.mktemp("stalling"), CPUS)


@pytest.fixture
def tokens(tmp_path: Path) -> Any:
    file = tmp_path / "tokens"
    file.write_text("token\n")
    return str(file)


@pytest.mark.parametrize("kind", PLAIN)
def test_an_attack_that_holds_stands_with_all_its_connections_until_it_is_over(
    kind: Any, port: int, tokens: Any
) -> None:
    before = int(fetch(port, stalling.ACCEPTED)[1])
    with attacked(Attack(kind, port, tokens, 2), CPUS) as attacker:
        assert attacker.poll() is None
        assert int(fetch(port, stalling.ACCEPTED)[1]) - before >= 3
    assert attacker.poll() is not None


@pytest.mark.parametrize("kind", FLOOD)
def test_a_flood_ends_by_itself(kind: Any, port: int, tokens: Any) -> None:
    with attacked(Attack(kind, port, tokens, 2, seconds=0.2), CPUS) as attacker:
        assert attacker.wait(timeout=60) == 0


def test_an_attack_that_nobody_accepts_is_an_error(tokens: Any) -> None:
    with (
        pytest.raises(BenchError, match="attack gets"),
        attacked(Attack("gets", free_port(), tokens, 1), CPUS),
    ):
        pass


def test_the_certificate_is_written_once(tmp_path: Path) -> None:
    file = write_self_signed(tmp_path / "pair.pem")
    content = file.read_bytes()
    assert b"CERTIFICATE" in content
    assert b"PRIVATE KEY" in content
    assert write_self_signed(file).read_bytes() == content


def test_the_table_has_a_row_for_each_figure() -> None:
    work = WORKS["attacks"]
    found = Outcome(work.name, work.title, work.columns, None, 1, tall=work.tall)
    found.entries.append(Entry("gateway", "cognito-gateway", "1", [], [{"gets_1_ms": 2.25}]))
    lines = table(found).splitlines()
    assert len(lines) == 2 + len(work.columns)
    assert lines[2].split("  ")[0] == "longest wait beside GETs, 1 connection, ms"
    assert lines[2].endswith("2.2")
    assert lines[-1].endswith("–")


def test_the_upstream_counts_its_connections(port: int) -> None:
    before = int(fetch(port, stalling.ACCEPTED)[1])
    socket.create_connection(("127.0.0.1", port)).close()
    assert int(fetch(port, stalling.ACCEPTED)[1]) == before + 2
