"""What is refused again and again: written for a while, then summed up, and nobody fills the log."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.gate.refusals import MOST, OTHERS, PLAIN, PLAIN_OF_ALL, WINDOW, Refusals
from tests.support.running import running
from tests.support.wire import Client, Upstream, get

NOISE = 400


def windows(lines: list[dict[str, Any]]) -> int:
    """Return how many windows may have begun while these were written: on a busy machine, more than one."""
    first, last = (datetime.fromisoformat(lines[number]["timestamp"]) for number in (0, -1))
    return 1 + int((last - first).total_seconds() / WINDOW)


def test_a_sender_has_so_many_lines_and_then_a_sum() -> None:
    refusals, here = Refusals(), (None, "203.0.113.7")
    written = 0
    for number in range(300):
        if refusals.admits(here, 1.0):
            written += 1
        else:
            refusals.missed(here, "no_credentials" if number % 3 else "token_expired", 1.0)
    assert written == PLAIN
    # Others have theirs meanwhile.
    assert refusals.admits((None, "203.0.113.8"), 1.0)
    assert refusals.over(1.0 + WINDOW - 0.1) == []
    (told,) = refusals.over(1.0 + WINDOW)
    assert (told.sender, told.requests) == (here, 200)
    assert told.reasons == {"no_credentials": 134, "token_expired": 66}
    assert refusals.admits(here, 1.0 + WINDOW)
    assert len(refusals) == 1


def test_senders_beyond_those_remembered_are_counted_together() -> None:
    refusals, lines = Refusals(), 0
    for number in range(100_000):
        sender = (None, f"2001:db8:{number:x}::")
        if refusals.admits(sender, 1.0):
            lines += 1
        else:
            refusals.missed(sender, "no_credentials", 1.0)
    assert len(refusals) == MOST + 1
    assert lines <= PLAIN_OF_ALL
    sums = refusals.over(1.0 + WINDOW)
    assert lines + sum(each.requests for each in sums) == 100_000
    assert OTHERS in {each.sender for each in sums}
    assert len(refusals) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 4)), max_size=400))
def test_no_refusal_is_in_neither_a_line_nor_a_sum(steps: list[tuple[int, float]]) -> None:
    refusals, now, lines, summed = Refusals(), 0.0, 0, 0
    for sender, pause in steps:
        now += pause
        for _ in range(20):
            if refusals.admits(("pool", str(sender)), now):
                lines += 1
            else:
                refusals.missed(("pool", str(sender)), "r", now)
        summed += sum(each.requests for each in refusals.over(now))
    summed += sum(each.requests for each in refusals.over(float("inf")))
    assert lines + summed == 20 * len(steps)


async def test_one_address_that_is_refused_all_the_time_does_not_fill_the_log(tmp_path: Path) -> None:
    async with running(tmp_path, "routes: [{path: /open, auth: none}]\n") as gateway:
        async with await Client.connect(gateway.port) as client:
            for _ in range(NOISE):
                assert (await client.ask(get("/" + "x" * 4000))).status == 401
            # Others' lines, and what went well, are there.
            assert (await client.ask(get("/open"))).status == 200
    lines = gateway.log()
    events = Counter(line["event"] for line in lines)
    written = [line for line in lines if line["event"] == "request" and line["status"] == 401]
    assert PLAIN <= len(written) + events["auth_failure"] <= PLAIN * windows(lines)
    sums = [line for line in lines if line["event"] == "refusals_repeated"]
    assert sum(line["requests"] for line in sums) == NOISE - len(written)
    assert sums[0]["client"] == "127.0.0.1"
    assert set(sums[0]["reasons"]) == {"no_credentials"}
    assert [line["path"] for line in lines if line["event"] == "request" and line["status"] == 200] == [
        "/open"
    ]
    # Neither do long paths: some 500 bytes a line.
    assert written[0]["path"] == "/" + "x" * 255 + "…[4001]"
    assert len(gateway.stream.data) < 80_000 * windows(lines)


async def test_somebody_who_is_known_is_counted_as_such(tmp_path: Path) -> None:
    async with running(tmp_path, "routes: [{path: /**, groups: [admins]}]\n") as gateway:
        async with await Client.connect(gateway.port) as client:
            token = gateway.bearer(sub="alice")
            for _ in range(NOISE):
                assert (await client.ask(get("/", token))).status == 403
            assert (await client.ask(get("/", gateway.bearer(sub="bob")))).status == 403
    lines = gateway.log()
    denied = Counter(line["subject"] for line in lines if line["event"] == "auth_denied")
    assert PLAIN // 2 <= denied["alice"] <= PLAIN // 2 * windows(lines)
    assert denied["bob"] == 1
    sums = [line for line in lines if line["event"] == "refusals_repeated"]
    assert {(line["subject"], line["client"]) for line in sums} == {("alice", None)}
    assert sum(line["requests"] for line in sums) == NOISE - denied["alice"]


async def test_the_sample_covers_refusals_and_no_errors(tmp_path: Path) -> None:
    yaml = "routes: [{path: /open, auth: none}]\nlog: {sample: 0}\n"
    async with running(tmp_path, yaml, upstream_url="http://127.0.0.1:1") as gateway:
        async with await Client.connect(gateway.port) as client:
            for _ in range(20):
                assert (await client.ask(get("/"))).status == 401
            assert (await client.ask(get("/open"))).status == 502
    lines = [line for line in gateway.log() if line["event"] in {"request", "auth_failure", "request_failed"}]
    assert [(line["event"], line["reason"]) for line in lines] == [
        ("request_failed", "upstream_unreachable"),
        ("request", "upstream_unreachable"),
    ]


async def test_a_part_of_the_requests_has_all_its_lines_and_the_others_none(tmp_path: Path) -> None:
    async with running(tmp_path, "log: {sample: 0.5}\n") as gateway:
        async with await Client.connect(gateway.port) as client:
            for number in range(40):
                await client.ask(get("/", f"X-Request-Id: request-{number}"))
    lines = gateway.log()
    by_event = {
        name: {line["request_id"] for line in lines if line["event"] == name}
        for name in ("request", "auth_failure")
    }
    assert by_event["request"] == by_event["auth_failure"]
    assert 0 < len(by_event["request"]) < 40


async def test_errors_of_clients_on_open_paths_are_bounded_too(tmp_path: Path) -> None:
    """A body that is no body: their own fault, and as cheap."""
    async with running(tmp_path, "routes: [{path: /**, auth: none}]\n", upstream=Upstream()) as gateway:
        for _ in range(NOISE):
            async with await Client.connect(gateway.port) as client:
                await client.send(
                    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n"
                )
                await asyncio.wait_for(client.reader.read(), 30)
    lines = gateway.log()
    about = [line for line in lines if line["event"] in {"request", "request_failed", "request_refused"}]
    sums = sum(line["requests"] for line in lines if line["event"] == "refusals_repeated")
    assert len(about) <= PLAIN * windows(lines)
    assert sums > 0
