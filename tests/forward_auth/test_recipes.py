"""Each recipe removes the whole list of names that servers believe (gateway/config/trusted_names.py)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import yaml

from tests.support import recipes
from tests.support.forward_auth import DOCUMENT, documented


@pytest.mark.parametrize(
    "render", [recipes.nginx, recipes.caddy, recipes.haproxy, recipes.traefik, recipes.envoy]
)
def test_the_documented_recipe_is_that_of_the_list(render: Callable[[], str]) -> None:
    told = "python -m tests.support.recipes prints what has to stand there"
    assert render() in DOCUMENT.read_text(encoding="utf-8"), told


def test_traefiks_expression_matches_them_and_nothing_else() -> None:
    forward = yaml.safe_load(documented("yaml", 2))["http"]["middlewares"]["cognito-gateway"]["forwardAuth"]
    pattern = re.compile(forward["authResponseHeadersRegex"])
    for name in recipes.names():
        assert bool(pattern.search(recipes.canonical(name))) == (name not in recipes.TRAEFIKS)
    for name in ("X-Auth-Request-User", "X_Auth_Request_User", "Script_Name", "Api.Key", "X-Middleware-Next"):
        assert pattern.search(name)
    for name in (
        "Accept",
        "Authorization",
        "Cookie",
        "X-Request-Id",
        "X-Forwarded-For",
        "X-User",
        "Content-Type",
    ):
        assert not pattern.search(name)


def test_the_lines_fit_into_haproxys_buffer() -> None:
    # LINESIZE in its include/haproxy/defaults.h.
    assert max(map(len, recipes.haproxy().splitlines())) < 2048
