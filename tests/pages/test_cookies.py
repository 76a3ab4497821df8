"""Our cookies: written, split, read back; and whatever else a client may call a cookie."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.own_cookies import OwnCookies
from gateway.sessions.cookies import Cookies, longest


def sent_back(lines: list[bytes], before: dict[bytes, bytes] | None = None) -> list[bytes]:
    """What a browser with these cookies sends after it got these Set-Cookie lines."""
    jar = dict(before or {})
    for line in lines:
        name, _, value = line.removeprefix(b"Set-Cookie: ").partition(b";")[0].partition(b"=")
        if b"Max-Age=0" in line:
            jar.pop(name, None)
        else:
            jar[name] = value
    return [name + b"=" + value for name, value in jar.items()]


def test_a_cookie_is_for_this_host_alone() -> None:
    line = Cookies([], secure=True).set("session", "v", max_age=60)
    assert line == (
        b"Set-Cookie: __Host-cognito_gateway_session=v; Path=/; HttpOnly; SameSite=Lax; Secure; "
        b"Max-Age=60\r\n"
    )
    plain = Cookies([], secure=False).set("session", "v", max_age=None)
    assert plain == b"Set-Cookie: cognito_gateway_session=v; Path=/; HttpOnly; SameSite=Lax\r\n"


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("size", [0, 1, 3900, 3901, 12_000, longest()])
def test_long_values_are_split_and_joined(secure: bool, size: int) -> None:
    value = "v" * size
    lines = Cookies([], secure=secure).set_split("session", value, max_age=60)
    assert all(len(line) < 4096 for line in lines)
    pairs = sent_back(lines)
    assert Cookies(pairs, secure=secure).joined("session") == value
    assert Cookies(pairs[:-1], secure=secure).joined("session") is None, "a part is missing"
    cleared = Cookies(pairs, secure=secure).clear_split("session")
    jar = dict(pair.split(b"=", 1) for pair in pairs)
    assert sent_back(cleared, jar) == []


def test_a_shorter_value_clears_the_parts_of_a_longer_one() -> None:
    pairs = sent_back(Cookies([], secure=False).set_split("session", "v" * 9000, max_age=60))
    lines = Cookies(pairs, secure=False).set_split("session", "w", max_age=60)
    jar = dict(pair.split(b"=", 1) for pair in pairs)
    assert sent_back(lines, jar) == [b"cognito_gateway_session=1.w"]


def test_on_https_a_cookie_without_the_host_prefix_is_ignored() -> None:
    planted = [b"cognito_gateway_session=1.evil"]
    assert Cookies(planted, secure=True).joined("session") is None
    assert Cookies([b"__Host-cognito_gateway_session=1.ours"], secure=False).joined("session") is None


@given(st.lists(st.binary(max_size=60)), st.booleans())
def test_nothing_that_comes_raises(pairs: list[bytes], secure: bool) -> None:
    cookies = Cookies(pairs, secure=secure)
    cookies.joined("session")
    cookies.clear_split("session")
    assert "Cookies" in repr(cookies)


@given(st.integers(0, 99), st.text("0123456789.", max_size=5))
def test_counts_that_lie_are_no_value(count: int, rest: str) -> None:
    pairs = [f"cognito_gateway_session={count}.{rest}".encode(), b"cognito_gateway_session_1=b"]
    found = Cookies(pairs, secure=False).joined("session")
    assert found == {1: rest, 2: rest + "b"}.get(count)


@pytest.mark.parametrize(
    "name",
    ["cognito_gateway", "COGNITO_GATEWAY_session", "cognito.gateway_session", "cognito-gateway",
     "__Host-cognito_gateway_x", "__host-Cognito_Gateway", "__Secure-cognito_gateway", "cognito gateway"],
)  # fmt: skip
def test_no_spelling_of_our_cookies_is_forwarded(name: str) -> None:
    rest, own = OwnCookies().part(f"a=1; {name}=s; b=2".encode())
    assert rest == b"a=1; b=2"
    assert own == [f"{name}=s".encode()]


def test_cookies_whose_names_contain_ours_are_forwarded() -> None:
    value = b"my_cognito_gateway=1; cognitogateway=2; x=cognito_gateway"
    assert OwnCookies().part(value) == (value, [])
