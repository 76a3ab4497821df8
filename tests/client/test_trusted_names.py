"""The list of names that servers behind us believe: removed on every path, documented as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.config.trusted_names import GROUPS, Group, folded, group_of
from tests.support.running import Running, running
from tests.support.tunnels import SWITCH, UPGRADE
from tests.support.wire import Client, Upstream, get

ROUTES = "routes: [{path: '/open/**', auth: none}]\n"
DOCUMENT = Path(__file__).parents[2] / "docs" / "upstream-identity.md"
# The gateway writes these: there is one of each, whichever proxy is trusted.
WRITTEN = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}


def names(group: Group) -> list[str]:
    """Every name of a group as clients may write it, prefixes with something behind them."""
    plain = sorted(group.names | set(group.known) | {f"{prefix}x9" for prefix in group.prefixes})
    return [name for name in plain if name not in WRITTEN and not name.startswith("-")]


def spellings(name: str) -> list[str]:
    return [
        name,
        name.upper(),
        name.replace("-", "_").upper(),
        name.replace("-", "."),
        name.replace("-", "+", 1),
    ]


async def reached(gateway: Running, lines: list[str], *more: str) -> set[str]:
    """The folded names with the value `evil` that arrive, of lines sent fifty at a time."""
    found: set[str] = set()
    for begin in range(0, len(lines), 50):
        async with await Client.connect(gateway.port) as client:
            reply = await client.ask(get("/open/x", *lines[begin : begin + 50], *more))
            assert reply.status in {200, 101}
        seen = gateway.upstream.last.headers
        found |= {folded(name.decode()) for name, value in seen if value == b"evil"}
    return found


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.title)
async def test_no_client_sends_them_in_any_spelling(tmp_path: Path, group: Group) -> None:
    lines = [f"{spelling}: evil" for name in names(group) for spelling in spellings(name)]
    async with running(tmp_path, ROUTES) as gateway:
        assert await reached(gateway, ["X-Kept: evil"]) == {"x-kept"}
        assert await reached(gateway, lines) == set()
    async with running(tmp_path, ROUTES, upstream=Upstream(answer=SWITCH)) as gateway:
        assert await reached(gateway, [f"{name}: evil" for name in names(group)], *UPGRADE) == set()


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.title)
async def test_a_trusted_proxy_sends_addresses_and_certificates_alone(tmp_path: Path, group: Group) -> None:
    trusted = "trusted_proxies: [127.0.0.1]"
    async with running(tmp_path, ROUTES, listen_lines=trusted) as gateway:
        plain = await reached(gateway, [f"{name}: evil" for name in names(group)])
        assert plain == (set(names(group)) if group.from_trusted else set())
        odd = [f"{name.replace('-', '_')}: evil" for name in names(group) if "-" in name]
        assert await reached(gateway, odd) == set()


async def test_passenger_and_websphere_names_are_no_clients_either(tmp_path: Path) -> None:
    both = "request_headers: {underscores: pass}\n"
    async with running(tmp_path, both + ROUTES) as gateway:
        assert await reached(gateway, ["$WSRU: evil", "!~Passenger-Client-Address: evil"]) == set()


async def test_names_with_other_signs_are_dropped_unless_they_are_to_pass(tmp_path: Path) -> None:
    odd = ["api_key: evil", "X.Api.Key: evil", "a~b: evil"]
    forged = ["SCRIPT_NAME: evil", "X_Auth_Request_User: evil", "Content_Type: kept", "X_Request_Id: evil"]
    async with running(tmp_path, ROUTES) as gateway:
        assert await reached(gateway, odd + forged) == set()
    async with running(tmp_path, "request_headers: {underscores: pass}\n" + ROUTES) as gateway:
        assert await reached(gateway, odd + forged) == {"api-key", "x-api-key", "a-b"}
    async with running(tmp_path, "request_headers: {pass: [api_key]}\n" + ROUTES) as gateway:
        assert await reached(gateway, odd + forged) == {"api-key"}


async def test_configured_names_pass_in_their_spelling(tmp_path: Path) -> None:
    rules = "request_headers: {pass: [Remote-User, SCRIPT_NAME, X-Webauth-User]}\n"
    async with running(tmp_path, rules + ROUTES) as gateway:
        passed = ["remote-user: evil", "SCRIPT_NAME: evil", "X-WebAuth-User: evil"]
        assert await reached(gateway, passed) == {"remote-user", "script-name", "x-webauth-user"}
        lines = ["Remote_User: evil", "X-Webauth-Groups: evil", "Remote-Groups: evil"]
        assert await reached(gateway, lines) == set()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Host", "HTTP or the gateway uses this header itself"),
        ("X_Forwarded_For", "HTTP or the gateway uses this header itself"),
        ("X-Auth-Request-Email", "upstreams trust it to come from the gateway"),
        ("X-Who", "identity_headers uses it"),
        ("no name", "is not a header name"),
    ],
)
async def test_names_that_cannot_pass_are_mistakes(tmp_path: Path, name: str, told: str) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(f"identity_headers: {{user: X-Who}}\nrequest_headers: {{pass: ['{name}']}}\n")
    with pytest.raises(Exception, match=told):
        load(path, {})


async def test_names_that_pass_anyway_are_warnings(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("request_headers: {pass: [X-Color]}\n")
    (warning,) = [line for line in load(path, {}).warnings if "pass" in str(line)]
    assert "X-Color is not removed by default" in str(warning)


def test_the_documentation_has_the_list() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for group in GROUPS:
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {group.title} |")]
        _, _, trusted, members, _ = row.split("|")
        assert trusted.strip() == ("pass" if group.from_trusted else "removed")
        listed = {word.strip("`") for word in members.replace(",", " ").split()}
        shown = {
            "$ws*" if member == "-ws*" else "!~*" if member == "--*" else member for member in group.members
        }
        assert listed == shown
    for group in GROUPS:
        assert all(folded(member.rstrip("*")) == member.rstrip("*") for member in group.members)
        assert all(group_of(name) is not None for name in group.known)
