"""The work that asks for decisions: each contestant that gives some passes the check by them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bench import upstream
from bench.contestants import Gateway, HAProxy, Nginx, OAuth2Proxy, Setup
from bench.keyserver import KeyServer
from bench.load.lines import render
from bench.load.plan import LoadPlan
from bench.load.wrk import command
from bench.processes import fetch, free_port
from bench.tokens import Mint
from bench.works.forward_auth import ForwardAuth

CPUS = frozenset({0})


@pytest.mark.engine
@pytest.mark.parametrize("kind", [Gateway, OAuth2Proxy, Nginx], ids=lambda kind: kind.name)
def test_it_decides_about_the_request_that_is_named_and_is_checked_by_that(kind: Any, tmp_path: Path) -> None:
    if kind.missing():
        pytest.skip(kind.missing())
    mint = Mint()
    with ExitStack() as stack:
        contestant = kind(
            Setup(
                directory=tmp_path / kind.name,
                port=free_port(),
                probe_port=free_port(),
                upstream_port=upstream.start(stack, tmp_path / "upstream", CPUS),
                jwks_url=stack.enter_context(KeyServer(mint.key_set())).url,
                public_key_file=tmp_path / "public.pem",
                asked=True,
            )
        )
        stack.callback(contestant.stop)
        assert ForwardAuth().unfit(contestant) is None
        contestant.start(CPUS)
        contestant.wait_ready(mint.valid())
        assert contestant.check(mint) == []
        if kind is Gateway:
            # It is the named request that is judged.
            unclear = {"X-Original-URL": "/a/../b", "X-Original-Method": "GET"}
            assert fetch(contestant.setup.port, "/oauth2/auth", unclear)[0] == 403


def test_who_decides_for_nobody_is_left_out(tmp_path: Path) -> None:
    setup = Setup(tmp_path, 1, 2, 3, "http://127.0.0.1:4/", tmp_path / "key", asked=True)
    assert ForwardAuth().unfit(HAProxy(setup)) == "it makes no decisions for other proxies"


def test_both_generators_send_the_headers_that_name_the_request() -> None:
    plan = LoadPlan(1, "/oauth2/auth", "tokens", 1, headers={"X-Original-Method": "GET"})
    assert b"\r\nX-Original-Method: GET\r\n\r\n" in render(plan, "t")
    flags = command("wrk", plan)
    assert flags[flags.index("-H") + 1] == "X-Original-Method: GET"
