"""Addresses, networks and URLs."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import addresses
from gateway.config.addresses import Target, Url
from gateway.config.model import Address
from tests.support.config_files import refusal

PORTS = st.integers(0, 65535)
LABEL = st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?\Z")
NAMES = st.lists(LABEL, min_size=1, max_size=4).map(".".join).filter(lambda name: not name[-1].isdigit())
IPV4 = st.ip_addresses(v=4).map(str)
IPV6 = st.ip_addresses(v=6).map(str)
SOCKETS = st.from_regex(r"\A(/[A-Za-z0-9._-]{1,12}){1,4}\Z").map(Path)


@given(st.one_of(NAMES, IPV4, IPV6, st.just("")), PORTS)
def test_an_address_that_is_shown_is_read_back(host: str, port: int) -> None:
    assert addresses.address(str(Address(host, port))) == Address(host, port)


@given(SOCKETS)
def test_a_socket_that_is_shown_is_read_back(path: Path) -> None:
    assert addresses.address(f"unix:{path}") == Address("", 0, path)
    assert str(addresses.address(f"unix:{path}")) == f"unix:{path}"


@given(
    st.sampled_from([addresses.address, addresses.url, addresses.upstream, addresses.network]),
    st.text(max_size=40),
)
def test_any_text_is_an_address_or_a_mistake_on_one_line(parse: object, text: str) -> None:
    assert callable(parse)
    assert len((refusal(parse, text) or "").splitlines()) <= 1


@given(st.sampled_from(["http", "https"]), st.one_of(NAMES, IPV4), st.integers(1, 65535))
def test_a_url_is_split_into_its_parts(scheme: str, host: str, port: int) -> None:
    assert addresses.url(f"{scheme}://{host}:{port}/a/b") == Url(scheme, host, port, "/a/b")
    assert addresses.url(f"{scheme}://{host}") == Url(scheme, host, None, "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("8000", "has no port: write host:port, :port or unix:/path"),
        ("localhost", "has no port: write host:port, :port or unix:/path"),
        ("http://127.0.0.1:8000", "is a URL: an address is host:port, :port or unix:/path"),
        ("::1:8000", "is not an address: write an IPv6 address in brackets, as in [::1]:8000"),
        ("127.0.0.1:65536", "is not a port from 0 to 65535"),
        ("127.0.0.1:080", "is not a port from 0 to 65535"),
        ("127.0.0.1:", "is not a port from 0 to 65535"),
        ("127.0.0.256:80", "is not an IP address"),
        ("[::zz]:80", "is not an IPv6 address"),
        ("exa mple:80", "is not a host name or an IP address"),
        ("-a:80", "is not a host name or an IP address"),
        (".".join(["a" * 63] * 4) + ":80", "is not a host name or an IP address"),
        ("a..b:80", "is not a host name or an IP address"),
        ("unix:relative", "is not an absolute path: write unix:/path/to/socket"),
        ("unix:/" + "a" * 107, "is longer than a socket path may be (107 bytes)"),
    ],
)
def test_a_wrong_address_says_what_is_right(text: str, told: str) -> None:
    assert told in (refusal(addresses.address, text) or "")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://127.0.0.1:8080", Target("http", "127.0.0.1", 8080, None)),
        ("http://API.internal", Target("http", "api.internal", 80, None)),
        ("https://api.internal/", Target("https", "api.internal", 443, None)),
        ("http://[::1]:9000", Target("http", "::1", 9000, None)),
        ("unix:/run/api.sock", Target("unix", "", 0, Path("/run/api.sock"))),
        ("unix:///run/api.sock", Target("unix", "", 0, Path("/run/api.sock"))),
    ],
)
def test_upstreams(text: str, target: Target) -> None:
    assert addresses.upstream(text) == target


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http://api/v1", "must have no path: requests keep their own"),
        ("ftp://api", "must begin with http://, https:// or unix:/"),
        ("http://api?x", "must have no query and no fragment"),
        ("http://api#x", "must have no query and no fragment"),
        ("http://api:0", "is not a port from 1 to 65535"),
        ("http://", "is not a host name or an IP address"),
        ("http://a\tb", "is not a host name or an IP address"),
        ("http://a\\b", "is not a host name or an IP address"),
        ("127.0.0.1:8080", "is not a URL such as https://host:port/path"),
        ("", "is not a URL such as https://host:port/path"),
    ],
)
def test_a_wrong_upstream_says_what_is_right(text: str, told: str) -> None:
    assert told in (refusal(addresses.upstream, text) or "")


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    for parse in (addresses.url, addresses.upstream, addresses.origin, addresses.trusted, addresses.issuer):
        told = refusal(parse, "https://user:hunter2@host/")
        assert told == "credentials in a URL are not accepted here: remove the part before @"


@pytest.mark.parametrize(
    "text", ["https://h/p", "http://127.0.0.1:1/p", "http://localhost/p", "http://[::1]/p"]
)
def test_keys_come_over_https_or_loopback(text: str) -> None:
    assert addresses.trusted(text) == text


@pytest.mark.parametrize(
    "text", ["http://h/p", "http://128.0.0.1/p", "http://localhost.evil/p", "unix://h/p"]
)
def test_keys_never_come_over_a_plain_network(text: str) -> None:
    with pytest.raises(ValueError, match="must be https, or http on a loopback address"):
        addresses.trusted(text)


def test_networks() -> None:
    assert addresses.network("10.0.0.0/8") == ip_network("10.0.0.0/8")
    assert addresses.network("10.1.2.3") == ip_network("10.1.2.3/32")
    with pytest.raises(ValueError, match=r"has host bits set: write 10\.0\.0\.0/8"):
        addresses.network("10.1.2.3/8")
    with pytest.raises(ValueError, match="is not a network such as"):
        addresses.network("10.0.0.0/33")


def test_origins_lose_their_slash_and_keep_nothing_else() -> None:
    assert addresses.origin("https://api.example.com/") == "https://api.example.com"
    with pytest.raises(ValueError, match="must have no path"):
        addresses.origin("https://api.example.com/v1")
