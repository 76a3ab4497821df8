"""The way out to AWS: what the two keys and the environment come to, and which requests take a proxy."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.egress import egress_from, egress_of, proxy_authorization, proxy_for, without_credentials
from gateway.config.load import examine
from gateway.errors import GatewayError

AWS = "https://cognito-idp.eu-west-1.amazonaws.com/pool/.well-known/jwks.json"
PROXY = "http://proxy.internal:3128"


@pytest.mark.parametrize(
    ("proxy", "environ", "through"),
    [
        ("environment", {}, None),
        ("environment", {"HTTPS_PROXY": PROXY}, PROXY),
        ("environment", {"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}, PROXY),
        ("environment", {"https_proxy": "", "HTTPS_PROXY": PROXY}, None),
        ("environment", {"HTTPS_PROXY": "proxy.internal:3128"}, PROXY),
        ("environment", {"HTTP_PROXY": PROXY, "ALL_PROXY": PROXY}, None),
        ("none", {"HTTPS_PROXY": PROXY}, None),
        (PROXY, {"HTTPS_PROXY": "http://other:1", "NO_PROXY": "*"}, PROXY),
        ("environment", {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, None),
        ("environment", {"HTTPS_PROXY": PROXY, "NO_PROXY": "a.test, .amazonaws.com"}, None),
        ("environment", {"HTTPS_PROXY": PROXY, "NO_PROXY": "AmazonAWS.com"}, None),
        ("environment", {"HTTPS_PROXY": PROXY, "NO_PROXY": "amazonaws.com:443"}, None),
        ("environment", {"HTTPS_PROXY": PROXY, "NO_PROXY": "amazonaws.com:444"}, PROXY),
        ("environment", {"HTTPS_PROXY": PROXY, "NO_PROXY": "naws.com,,cognito"}, PROXY),
        ("environment", {"HTTPS_PROXY": PROXY, "no_proxy": "", "NO_PROXY": "*"}, PROXY),
    ],
)
def test_which_proxy_aws_is_reached_through(proxy: str, environ: dict[str, str], through: str | None) -> None:
    assert proxy_for(egress_of(proxy, None, environ), AWS) == through


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9229/", "https://127.0.0.1:9229/", "https://localhost/", "https://[::1]/"]
)
def test_loopback_is_reached_directly(url: str) -> None:
    assert proxy_for(egress_of(PROXY, None, {}), url) is None


def test_which_roots_are_trusted_and_who_names_them(tmp_path: Path) -> None:
    both = {"AWS_CA_BUNDLE": "/aws.pem", "SSL_CERT_FILE": "/ssl.pem"}
    for given, environ, expected in (
        (tmp_path / "own.pem", both, (tmp_path / "own.pem", "cognito.ca_file")),
        (None, both, (Path("/aws.pem"), "AWS_CA_BUNDLE")),
        (None, {"SSL_CERT_FILE": "/ssl.pem"}, (Path("/ssl.pem"), "SSL_CERT_FILE")),
        (None, {"AWS_CA_BUNDLE": "", "SSL_CERT_FILE": "/ssl.pem"}, (Path("/ssl.pem"), "SSL_CERT_FILE")),
    ):
        egress = egress_of("none", given, environ)
        assert (egress.roots, egress.ca_from) == expected
    system = egress_of("none", None, {})
    assert system.ca_from == "the system"
    assert system.roots is None or system.roots.is_file()


def test_a_proxys_password_is_sent_and_never_shown() -> None:
    url = "http://us%40er:p%3Aw@proxy.internal:3128"
    egress = egress_from({"HTTPS_PROXY": url})
    assert proxy_authorization(url) == {"Proxy-Authorization": "Basic dXNAZXI6cDp3"}
    assert proxy_authorization(PROXY) == {}
    assert without_credentials(url) == PROXY
    assert "w@" not in repr(egress)
    assert "p%3Aw" not in repr(egress)


@pytest.mark.parametrize(
    "value", ["socks5://p:1", "https://p:1", "http://", "http://p:x", "http://s3cret@/", "://"]
)
def test_a_variable_that_names_no_http_proxy_is_a_mistake(value: str, tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match=r"^HTTPS_PROXY is not the URL of an HTTP proxy") as told:
        egress_from({"HTTPS_PROXY": value})
    assert "s3cret" not in str(told.value)
    path = tmp_path / "gateway.yaml"
    path.write_text("cognito: {user_pools: []}\n")
    config, report = examine(path, {"HTTPS_PROXY": value})
    assert config is None
    assert "cognito.proxy: HTTPS_PROXY is not the URL" in report.lines[0]
    path.write_text("cognito: {proxy: none}\n")
    config, _ = examine(path, {"HTTPS_PROXY": value})
    assert config is not None


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("socks5://p:1", "is not environment, none or a URL such as http://proxy:3128"),
        ("http://p:3128/path", "is not environment, none or a URL"),
        ("http://user:s3cret@p:3128", "credentials in a URL are not accepted here: set this proxy in"),
        ("off", "is not a URL"),
    ],
)
def test_the_key_takes_words_and_http_urls(value: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(f"cognito: {{proxy: '{value}'}}\n")
    config, report = examine(path, {})
    assert config is None
    assert told in report.lines[0]
    assert "s3cret" not in report.lines[0]
