"""Routes that cannot do what they say."""

# ruff: noqa: E501 - the sentences stand whole, as they are shown

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.config_files import POOL, config, said

ID_ONLY = POOL + "      token_use: [id]\n"


@pytest.mark.parametrize("condition", ["groups: [a]", "scopes: [s]", "claims: {c: x}", "pool: eu_1"])
def test_an_open_route_with_a_condition_is_a_mistake(tmp_path: Path, condition: str) -> None:
    key = condition.partition(":")[0]
    assert said(tmp_path, f"routes:\n- {{path: /a, auth: none, {condition}}}\n") == [
        f"F:2: routes[0].{key}: never checked: auth: none admits everyone; remove one or the other"
    ]


@pytest.mark.parametrize("auth", ["optional", "required"])
def test_any_other_route_may_have_them_all(tmp_path: Path, auth: str) -> None:
    text = f"routes:\n- {{path: /a, auth: {auth}, groups: [a], scopes: [s], claims: {{c: x}}, pool: eu_1}}\n"
    assert said(tmp_path, text) == []
    (route,) = config(tmp_path, text).routes
    assert (route.groups, route.scopes, route.claims, route.pool) == (
        ("a",),
        ("s",),
        (("c", ("x",)),),
        "eu_1",
    )


def test_a_route_for_a_pool_that_is_not_configured_is_a_mistake(tmp_path: Path) -> None:
    assert said(tmp_path, POOL + "routes:\n- path: /a\n  pool: eu-west-1_Other\n") == [
        "F:7: routes[0].pool: not in cognito.user_pools, which has ap-south-1_TestPool1: nobody would be admitted"
    ]
    assert said(tmp_path, POOL + "routes:\n- path: /a\n  pool: ap-south-1_TestPool1\n") == []


def test_scopes_where_only_id_tokens_are_accepted(tmp_path: Path) -> None:
    routes = "routes:\n- path: /a\n  scopes: [api/read]\n"
    assert said(tmp_path, ID_ONLY + routes) == [
        "F:8: warning: routes[0].scopes: never satisfied: ID tokens carry no scopes, and token_use accepts nothing else"
    ]
    assert said(tmp_path, POOL + "      token_use: [id, access]\n" + routes) == []
    assert said(tmp_path, routes) == []


def test_claims_named_by_routes(tmp_path: Path) -> None:
    text = "routes:\n- {path: /a, claims: {c: x, d: [1, true]}}\n- {path: /b, claims: {c: y}}\n"
    found = config(tmp_path, text)
    assert found.claims_in_routes == {"c", "d"}
    assert found.routes[0].claims == (("c", ("x",)), ("d", ("1", "true")))
