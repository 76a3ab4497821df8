"""Return addresses: a path of this site, or the front page."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refusal
from gateway.http.origin import Maker, same_origin
from gateway.pages.return_to import return_path, with_return
from gateway.policy.paths import NOTHING_PASSES, split_target
from gateway.policy.readings import readings


@pytest.mark.parametrize(
    "wanted",
    ["//evil", "///evil", "/\\evil", "\\/evil", "/%09/evil", "/\t/evil", "/%5cevil", "/%2fevil", "/%2Fevil",
     "/%252fevil", "https:evil", "https://evil", "https://good@evil", "good.evil", "javascript:alert(1)",
     "/\r\nSet-Cookie: a=b", "/%0d%0aevil", " /a", "/a b", "/a#b", "/ä", "", None, "/" + "a" * 4096,
     "/..//evil", "/.//evil", "/a/..//evil", "/%2e%2e//evil", "/.%2f/evil", "/..;//evil", "/a/..", "/.?x",
     "/a\\b", "/%zz", "/a/%2e./b", "/%00", "/%c0%ae"],
)  # fmt: skip
def test_addresses_elsewhere_become_the_front_page(wanted: str | None) -> None:
    assert return_path(wanted) == "/"


@pytest.mark.parametrize(
    "wanted",
    ["/wiki/[x]", "/s?p=C:\\Users", "/a|b", "/a^b", '/a"b', "/100%25", "/%25", "/%25zz?x=%25",
     "/" + "a" * 4095,
     "/<b>", "/a`b{c}", "/a?b\\c", '/a?b"c', "/a;b=c", "/a%2Fb", "/a%5Cb",
     "/", "/a", "/a/b?c=d&e=%2F", "/a//b", "/@user", "/a:b", "/?u=https://x",
     "/a?filter[b]=c|d", "/a?b=../c", "/.well-known/x", "/a..b/...", "/a.b"],
)  # fmt: skip
def test_paths_of_this_site_stay(wanted: str) -> None:
    assert return_path(wanted) == wanted


@given(st.text(max_size=50) | st.text("/\\%25fFcC09aA:.@?# \t", max_size=12))
def test_no_return_to_leaves_the_origin(wanted: str) -> None:
    joined = urlsplit(urljoin("https://good.example/oauth2/sign_in", return_path(wanted)))
    assert (joined.scheme, joined.netloc) == ("https", "good.example")


_SIGNS = st.text([chr(code) for code in range(0x21, 0x7F)], max_size=40)


@given(st.lists(_SIGNS | st.sampled_from(["%25", "%20", "[x]", "..", "."]), max_size=6), _SIGNS)
def test_whatever_the_proxy_serves_survives_signing_in(segments: list[str], query: str) -> None:
    target = f"/{'/'.join(segments)}?{query}"
    try:
        raw_path, _ = split_target(target)
        readings(raw_path, NOTHING_PASSES)
    except Refusal:
        assert return_path(target) in {"/", target}
    else:
        assert return_path(target) == target


def test_the_address_of_sign_in_carries_it() -> None:
    assert with_return("/oauth2/sign_in", "/a?b=c&d") == "/oauth2/sign_in?return_to=/a%3Fb%3Dc%26d"
    assert with_return("/oauth2/sign_in", "//evil") == "/oauth2/sign_in"


NAVIGATION = ("navigate", "document")


@pytest.mark.parametrize(
    ("maker", "ours"),
    [
        (Maker("https://api.example"), True),
        (Maker("HTTPS://API.example:443"), True),
        (Maker("https://api.example.evil", "same-origin"), False),
        (Maker("http://api.example"), False),
        (Maker("null", "none", *NAVIGATION), False),
        (Maker(""), False),
        (Maker(None, "same-origin"), True),
        (Maker(None, "none"), True),
        (Maker(None, "same-site"), False),
        (Maker(None, "cross-site"), False),
        (Maker(), False),
        # A form of a page with `Referrer-Policy: no-referrer`; a sandboxed frame; a script.
        (Maker("null", "same-origin", *NAVIGATION), True),
        (Maker("null", "same-origin", "navigate", "iframe"), False),
        (Maker("null", "same-origin", "cors", "empty"), False),
        (Maker("null", "same-origin", "navigate"), False),
        (Maker("null", "same-origin"), False),
        (Maker("null", "cross-site", *NAVIGATION), False),
        (Maker("null", "same-site", *NAVIGATION), False),
        (Maker("null", None, *NAVIGATION), False),
        (Maker("https://evil.example", "same-origin", *NAVIGATION), False),
    ],
)
def test_whose_request_it_is(maker: Maker, ours: bool) -> None:
    assert same_origin(maker, "https://api.example") is ours
