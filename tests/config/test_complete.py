"""What a valid file becomes."""

# ruff: noqa: E501 - the sentences stand whole, as they are shown

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.config.model import Address
from gateway.errors import ConfigurationError
from tests.support.config_files import POOL, config, said


def test_the_defaults_are_those_of_the_public_surface(tmp_path: Path) -> None:
    found = config(tmp_path, "")
    assert found.listen.address == Address("127.0.0.1", 8000)
    assert (found.listen.max_header_size, found.listen.max_body_size) == (32 * 1024, 0)
    assert (found.listen.header_timeout, found.listen.idle_timeout) == (10.0, 75.0)
    assert (found.listen.drain_timeout, found.listen.drain_delay) == (30.0, 0.0)
    assert (found.upstream.scheme, found.upstream.host, found.upstream.port) == ("http", "127.0.0.1", 8080)
    assert (found.upstream.connect_timeout, found.upstream.response_timeout) == (2.0, 60.0)
    assert (found.upstream.idle_timeout, found.upstream.max_connections) == (300.0, 1024)
    assert (found.upstream.host_header, found.upstream.forward_token) == ("preserve", False)
    assert (found.cognito.user_pools, found.cognito.clock_leeway, found.routes) == ((), 0.0, ())
    assert found.identity_headers.username == "X-Auth-Request-Preferred-Username"
    assert (found.sign_in.enabled, found.sign_in.prefix) == (True, "/oauth2")
    assert found.sign_in.session.max_age == 12 * 3600
    assert found.metrics.address == Address("127.0.0.1", 9090)
    assert (found.log.format, found.log.level, found.log.access) == ("auto", "info", True)
    assert [found.listen.tls, found.upstream.tls, found.cors, found.tracing] == [None] * 4


def test_a_pool_has_both_of_awss_issuers_and_the_keys_of_the_first(tmp_path: Path) -> None:
    pool = config(tmp_path, POOL).cognito.user_pools[0]
    assert pool.region == "ap-south-1"
    assert pool.issuers == (
        "https://cognito-idp.ap-south-1.amazonaws.com/ap-south-1_TestPool1",
        "https://issuer-cognito-idp.ap-south-1.amazonaws.com/ap-south-1_TestPool1",
    )
    assert pool.jwks_url == (
        "https://cognito-idp.ap-south-1.amazonaws.com/ap-south-1_TestPool1/.well-known/jwks.json"
    )
    assert (pool.token_use, pool.client_ids) == (("access",), ("1testing23456789",))


def test_another_endpoint_issues_tokens_under_its_own_name(tmp_path: Path) -> None:
    found = config(tmp_path, POOL + "  endpoint_url: http://127.0.0.1:9229/\n").cognito
    assert found.endpoint_url == "http://127.0.0.1:9229"
    assert found.user_pools[0].issuers == ("http://127.0.0.1:9229/ap-south-1_TestPool1",)
    assert found.user_pools[0].jwks_url == (
        "http://127.0.0.1:9229/ap-south-1_TestPool1/.well-known/jwks.json"
    )


def test_settings_written_in_full_are_not_completed(tmp_path: Path) -> None:
    text = POOL + "      issuers: [https://b/, https://a]\n      jwks_url: https://keys/jwks\n"
    pool = config(tmp_path, text).cognito.user_pools[0]
    assert (pool.issuers, pool.jwks_url) == (("https://b/", "https://a"), "https://keys/jwks")


def test_get_includes_head_and_only_get_does(tmp_path: Path) -> None:
    routes = config(
        tmp_path,
        "routes:\n  - {path: /a, methods: [GET]}\n  - {path: /b, methods: [POST]}\n  - {path: /c, auth: none}\n",
    ).routes
    assert [route.methods for route in routes] == [frozenset({"GET", "HEAD"}), frozenset({"POST"}), None]
    assert [route.auth for route in routes] == ["required", "required", "none"]


def test_text_stays_the_text_that_was_written(tmp_path: Path) -> None:
    text = "cognito:\n  user_pools:\n    - id: eu_1\n      client_ids: [0123456789, 1_0, 12e3, null0, 'null', no]\n"
    found = config(tmp_path, text).cognito.user_pools[0]
    assert found.client_ids == ("0123456789", "1_0", "12e3", "null0", "null", "no")


def test_references_inside_lists_and_texts(tmp_path: Path) -> None:
    text = (
        'listen:\n  trusted_proxies: ["${NET}", "10.0.0.${LAST:-1}"]\n  public_url: ${URL:-}\n'
        "upstream:\n  url: 'http://${HOST}:$${'\n"
    )
    with pytest.raises(ConfigurationError, match="is not a URL"):
        load(_written(tmp_path, text), {"NET": "::1", "HOST": "h"})
    found = config(tmp_path, text.replace("$${", "1"), {"NET": "::1", "HOST": "h"})
    assert found.listen.trusted_proxies == (ip_network("::1/128"), ip_network("10.0.0.1/32"))
    assert (found.listen.public_url, found.upstream.host) == (None, "h")


def test_aliases_stand_for_what_they_name(tmp_path: Path) -> None:
    text = "routes:\n  - {path: /a, methods: &m [GET]}\n  - {path: /b, methods: *m}\n"
    assert config(tmp_path, text).routes[1].methods == frozenset({"GET", "HEAD"})


def test_identity_headers_can_be_left_out_and_added(tmp_path: Path) -> None:
    found = config(
        tmp_path, "identity_headers:\n  email: null\n  claims: {X-Tenant: custom:tenant}\n"
    ).identity_headers
    assert (found.email, found.claims) == (None, (("X-Tenant", "custom:tenant"),))


def test_relative_files_begin_at_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{}")
    found = config(tmp_path, POOL + "      jwks_file: keys.json\n")
    assert found.cognito.user_pools[0].jwks_file == tmp_path / "keys.json"


def test_defaults_written_out_are_accepted(tmp_path: Path) -> None:
    text = (
        "listen: {workers: 1, tls: null}\nupstream: {tls: }\npaths: {semicolon: reject}\ncors: null\n"
        "sign_in: {enabled: false, session: {store: cookie, max_age: 720m}, state_dir: null}\n"
        "rate_limit: {requests_per_second: 0, burst: 0}\n"
        + POOL
        + "      identity_pool_id: null\nroutes:\n  - path: /a\n    groups: []\n    claims: {}\n"
    )
    assert said(tmp_path, text) == []


def test_the_completed_form_is_frozen_and_hashable(tmp_path: Path) -> None:
    found = config(tmp_path, POOL + "routes:\n  - path: /a\n")
    assert hash(found) == hash(config(tmp_path, POOL + "routes:\n  - path: /a\n"))


def test_load_gives_warnings_or_raises_with_every_line(tmp_path: Path) -> None:
    path = _written(tmp_path, "listen:\n  trusted_proxies: [0.0.0.0/0]\n")
    assert load(path, {}).warnings == (
        f"{path}:2: warning: listen.trusted_proxies[0]: every client can forge its address, scheme and host",
    )
    path = _written(tmp_path, "listen:\n  trusted_proxies: [0.0.0.0/0]\n  a: 1\n  workers: x\n")
    with pytest.raises(ConfigurationError) as caught:
        load(path, {})
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == [
        f"{path}:{n}" for n in (2, 3, 4)
    ]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read the configuration: no such file or directory"):
        load(tmp_path / "none.yaml", {})
    with pytest.raises(ConfigurationError, match="cannot read the configuration: is a directory"):
        load(tmp_path, {})


def _written(folder: Path, text: str) -> Path:
    path = folder / "gateway.yaml"
    path.write_text(text)
    return path


AWS_ISSUERS = (
    "https://cognito-idp.ap-south-1.amazonaws.com/ap-south-1_AbCdEfGhI",
    "https://issuer-cognito-idp.ap-south-1.amazonaws.com/ap-south-1_AbCdEfGhI",
)


@pytest.mark.parametrize(
    ("lines", "issuers"),
    [
        ("", AWS_ISSUERS),
        ("endpoint_url: https://cognito-idp-fips.ap-south-1.amazonaws.com", AWS_ISSUERS),
        ("endpoint_url: https://vpce-0a1b-2c3d.cognito-idp.ap-south-1.vpce.amazonaws.com/", AWS_ISSUERS),
        ("endpoint_url: https://cognito-idp.ap-south-1.api.aws", AWS_ISSUERS),
        ("endpoint_url: https://cognito.internal, issuer_from: aws", AWS_ISSUERS),
        ("endpoint_url: http://127.0.0.1:9229", ("http://127.0.0.1:9229/ap-south-1_AbCdEfGhI",)),
        (
            "endpoint_url: https://amazonaws.com.evil.test",
            ("https://amazonaws.com.evil.test/ap-south-1_AbCdEfGhI",),
        ),
        ("endpoint_url: https://evilamazonaws.com", ("https://evilamazonaws.com/ap-south-1_AbCdEfGhI",)),
        (
            "endpoint_url: https://cognito-idp.ap-south-1.amazonaws.com, issuer_from: endpoint",
            ("https://cognito-idp.ap-south-1.amazonaws.com/ap-south-1_AbCdEfGhI",),
        ),
    ],
)
def test_who_issues_tokens_behind_another_endpoint(
    tmp_path: Path, lines: str, issuers: tuple[str, ...]
) -> None:
    pool = "user_pools: [{id: ap-south-1_AbCdEfGhI, client_ids: [a1]}]"
    found = config(tmp_path, f"cognito: {{{pool}, {lines}}}\n").cognito
    assert found.user_pools[0].issuers == issuers


def test_the_clients_secret_comes_from_the_environment(tmp_path: Path) -> None:
    text = POOL + "      client_secret: ${CLIENT_SECRET}\n"
    found = config(tmp_path, text, {"CLIENT_SECRET": "s3cret+word\n"})
    assert found.cognito.user_pools[0].client_secret == "s3cret+word"
    assert "s3cret" not in repr(found)
    name = "COGNITO_GATEWAY_COGNITO__USER_POOLS__0__CLIENT_SECRET"
    assert config(tmp_path, POOL, {name: "other"}).cognito.user_pools[0].client_secret == "other"
    with pytest.raises(ConfigurationError, match=f"^{name}: .* is the secret itself: a reference in it"):
        load(_written(tmp_path, POOL), {name: "${CLIENT_SECRET}", "CLIENT_SECRET": "s3cret"})
    for written in ("s3cret", "x${CLIENT_SECRET}", "${CLIENT_SECRET:-s3cret}", "$${CLIENT_SECRET}"):
        with pytest.raises(ConfigurationError, match="a secret comes from the environment") as refused:
            load(_written(tmp_path, POOL + f"      client_secret: {written}\n"), {"CLIENT_SECRET": "s3cret"})
        assert "s3cret" not in str(refused.value)
    for value in ("two words", "s3cret\x00"):
        with pytest.raises(ConfigurationError, match="is not a secret") as refused:
            load(_written(tmp_path, text), {"CLIENT_SECRET": value})
        assert "s3cret" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="remove one of them"):
        load(_written(tmp_path, text + "      client_secret_file: secret\n"), {"CLIENT_SECRET": "s3cret"})
