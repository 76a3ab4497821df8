"""What a trusted proxy says about its client: one clean address, scheme and host for every reader."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.forwarded import TrustedProxies, scheme
from tests.support.running import logged, running
from tests.support.wire import get, once

PROXIES = TrustedProxies([ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


@pytest.mark.parametrize(
    ("value", "client", "clean"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("203.0.113.9, 192.0.2.7", "192.0.2.7", "203.0.113.9, 192.0.2.7"),
        # Proxies of ours stand between: the first from the right that is none of them.
        (
            "203.0.113.9, 192.0.2.7, 10.1.1.1,10.2.2.2",
            "192.0.2.7",
            "203.0.113.9, 192.0.2.7, 10.1.1.1, 10.2.2.2",
        ),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1", "10.1.1.1, 10.2.2.2"),
        ("192.0.2.7:51234", "192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:51234, 10.1.1.1:80", "192.0.2.7", "192.0.2.7, 10.1.1.1"),
        ("[2001:db8::1]:443", "2001:db8::1", "2001:db8::1"),
        ("[2001:DB8:0::1]", "2001:db8::1", "2001:db8::1"),
        ('"[2001:db8::1]:443"', "2001:db8::1", "2001:db8::1"),
        ("2001:db8::1, fd00::1", "2001:db8::1", "2001:db8::1, fd00::1"),
        ("fe80::1%eth0", "fe80::1", "fe80::1"),
        ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7"),
        (" 192.0.2.7 ,\t10.1.1.1 ", "192.0.2.7", "192.0.2.7, 10.1.1.1"),
        # Left of junk nobody of ours has written anything.
        ("192.0.2.7, unknown, 10.1.1.1", "10.1.1.1", "10.1.1.1"),
        ("192.0.2.7, <script>, 198.51.100.2, 10.1.1.1", "198.51.100.2", "198.51.100.2, 10.1.1.1"),
        ("unknown", None, None),
        ("", None, None),
        (",", None, None),
        ("192.0.2.7,", None, None),
        ("999.1.1.1", None, None),
        ("1.2.3", None, None),
        ("_hidden", None, None),
        ("[192.0.2.7", None, None),
        ("192.0.2.7:99x", None, None),
        ("\xff", None, None),
    ],
)
def test_the_chain(value: str, client: str | None, clean: str | None) -> None:
    for _ in range(2):
        assert PROXIES.chain(value.encode("latin-1")) == (client, None if clean is None else clean.encode())


def test_a_long_forwarded_header_is_truncated() -> None:
    long = b"192.0.2.7, " * 3000 + b"198.51.100.2, 10.1.1.1"
    client, clean = PROXIES.chain(long)
    assert client == "198.51.100.2"
    assert clean is not None
    assert len(clean) <= 2048


@given(st.text(alphabet='0123456789abcdef.:[]%," _\x00', max_size=80))
def test_any_forwarded_header_yields_an_address_or_nothing(value: str) -> None:
    client, clean = PROXIES.chain(value.encode())
    assert (client is None) == (clean is None)
    assert clean is None or not set(clean) - set(b"0123456789abcdef.:, ")


@pytest.mark.parametrize(
    ("value", "known"),
    [
        (b"https", b"https"), (b"HTTPS", b"https"), (b"https,http", b"https"), (b"http, https", b"http"),
        (b"wss", b"https"), (b"WS", b"http"), (b" , https", b"https"), (b"h2, https", b"https"),
        (b"", None), (b"ftp", None), (b"https:", None),
    ],
)  # fmt: skip
def test_the_scheme(value: bytes, known: bytes | None) -> None:
    assert scheme(value) == known


async def test_log_and_upstream_have_the_same_client(tmp_path: Path) -> None:
    trusted = "trusted_proxies: [127.0.0.1, 10.0.0.0/8]"
    async with running(tmp_path, "routes: [{path: /**, auth: none}]\n", listen_lines=trusted) as gateway:
        lines = ["X-Forwarded-For: 203.0.113.9, 192.0.2.7:5000", "X-Forwarded-For: 10.1.1.1"]
        lines += ["X-Forwarded-Proto: WSS, http", "X-Forwarded-Host: a.test, b.test"]
        assert (await once(gateway.port, get("/", *lines))).status == 200
        seen = gateway.upstream.last
        assert seen.all("X-Forwarded-For") == [b"203.0.113.9, 192.0.2.7, 10.1.1.1, 127.0.0.1"]
        assert seen.all("X-Forwarded-Proto") == [b"https"]
        assert seen.all("X-Forwarded-Host") == [b"a.test"]
        lines = ["X-Forwarded-For: junk", "X-Forwarded-Proto: gopher"]
        assert (await once(gateway.port, get("/", *lines))).status == 200
        assert gateway.upstream.last.all("X-Forwarded-For") == [b"127.0.0.1"]
        assert gateway.upstream.last.all("X-Forwarded-Proto") == [b"http"]
        first, second = await logged(gateway, "request", 2)
        assert (first["client"], second["client"]) == ("192.0.2.7", "127.0.0.1")


async def test_limits_count_the_client_behind_the_proxies(tmp_path: Path) -> None:
    yaml = "routes: [{path: /**, auth: none}]\nrate_limit: {requests_per_second: 0.001, burst: 1}\n"
    trusted = "trusted_proxies: [127.0.0.1, 10.0.0.0/8]"
    async with running(tmp_path, yaml, listen_lines=trusted) as gateway:
        for said, status in (
            ("192.0.2.7, 10.1.1.1", 200),
            ("192.0.2.7:1, 10.1.1.2:80", 429),
            ("203.0.113.1, 192.0.2.7", 429),
            ("192.0.2.8, 10.1.1.1", 200),
        ):
            reply = await once(gateway.port, get("/", f"X-Forwarded-For: {said}"))
            assert (said, reply.status) == (said, status)
