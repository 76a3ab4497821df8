"""Return addresses: a path of this site, or the front page."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.portal.origin import same_origin
from gateway.portal.return_to import return_path, with_return


@pytest.mark.parametrize(
    "wanted",
    ["//evil", "///evil", "/\\evil", "\\/evil", "/%09/evil", "/\t/evil", "/%5cevil", "/%2fevil", "/%2Fevil",
     "/%252fevil", "https:evil", "https://evil", "https://good@evil", "good.evil", "javascript:alert(1)",
     "/\r\nSet-Cookie: a=b", "/%0d%0aevil", " /a", "/a b", "/a#b", "/ä", "", None, "/" + "a" * 3000,
     "/..//evil", "/.//evil", "/a/..//evil", "/%2e%2e//evil", "/.%2f/evil", "/..;//evil", "/a/..", "/.?x",
     "/a[b]", "/a?b\\c", '/a?b"c'],
)  # fmt: skip
def test_addresses_elsewhere_become_the_front_page(wanted: str | None) -> None:
    assert return_path(wanted) == "/"


@pytest.mark.parametrize(
    "wanted",
    ["/", "/a", "/a/b?c=d&e=%2F", "/a//b", "/@user", "/a:b", "/?u=https://x",
     "/a?filter[b]=c|d", "/a?b=../c", "/.well-known/x", "/a..b/...", "/a.b"],
)  # fmt: skip
def test_paths_of_this_site_stay(wanted: str) -> None:
    assert return_path(wanted) == wanted


@given(st.text(max_size=50) | st.text("/\\%25fFcC09aA:.@?# \t", max_size=12))
def test_no_text_leads_away(wanted: str) -> None:
    joined = urlsplit(urljoin("https://good.example/oauth2/sign_in", return_path(wanted)))
    assert (joined.scheme, joined.netloc) == ("https", "good.example")


def test_the_address_of_sign_in_carries_it() -> None:
    assert with_return("/oauth2/sign_in", "/a?b=c&d") == "/oauth2/sign_in?return_to=/a%3Fb%3Dc%26d"
    assert with_return("/oauth2/sign_in", "//evil") == "/oauth2/sign_in"


@pytest.mark.parametrize(
    ("origin", "fetch_site", "ours"),
    [
        ("https://api.example", None, True),
        ("HTTPS://API.example:443", None, True),
        ("https://api.example.evil", "same-origin", False),
        ("http://api.example", None, False),
        ("null", "none", False),
        ("", None, False),
        (None, "same-origin", True),
        (None, "none", True),
        (None, "same-site", False),
        (None, "cross-site", False),
        (None, None, False),
    ],
)
def test_whose_request_it_is(origin: str | None, fetch_site: str | None, ours: bool) -> None:
    assert same_origin(origin, fetch_site, "https://api.example") is ours
