"""Each recipe removes the whole list of names that servers believe (gateway/config/trusted_names.py)."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.support import recipes
from tests.support.assertions import HEADER
from tests.support.forward_auth import DOCUMENT, documented


def test_the_documented_recipes_have_the_names_of_the_list() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert recipes.rewritten(text) == text, "make config writes what has to stand there"


def test_a_recipe_without_a_place_for_its_list_is_no_recipe() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for removed in (recipes.BEGINS, recipes.ENDS):
        with pytest.raises(ValueError, match="recipes in place of one"):
            recipes.rewritten(text.replace(removed, ""))
    with pytest.raises(ValueError, match="1 places in place of two"):
        recipes.rewritten(text.replace("authResponseHeadersRegex", "", 1))


def test_traefiks_expression_matches_them_and_nothing_else() -> None:
    forward = yaml.safe_load(documented("yaml", 2))["http"]["middlewares"]["cognito-gateway"]["forwardAuth"]
    pattern = re.compile(forward["authResponseHeadersRegex"])
    for name in recipes.names():
        assert bool(pattern.search(recipes.canonical(name))) == (name not in recipes.TRAEFIKS)
    for name in (
        "X-Auth-Request-User",
        HEADER,
        "X_Auth_Request_User",
        "Script_Name",
        "Api.Key",
        "X-Middleware-Next",
    ):
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
