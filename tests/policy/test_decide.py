"""The verdict: only an explicit word opens a path."""

from __future__ import annotations

import pytest

from gateway.config.model import Route
from gateway.errors import NoCredentials
from gateway.policy.decide import auth_of, decide


def test_what_no_route_matches_needs_a_token() -> None:
    assert auth_of(None) == "required"
    assert auth_of(Route("/", None, "optional")) == "optional"
    with pytest.raises(NoCredentials):
        decide(auth_of(None), authenticated=False)


def test_an_unknown_word_opens_nothing() -> None:
    with pytest.raises(NoCredentials):
        decide("None", authenticated=False)  # type: ignore[arg-type]  # what a bug would bring


@pytest.mark.parametrize(("auth", "reason"), [("none", "open_route"), ("optional", "anonymous")])
def test_open_routes_say_so(auth: str, reason: str) -> None:
    assert decide(auth, authenticated=False) == reason  # type: ignore[arg-type]


def test_a_valid_token_passes() -> None:
    assert decide("required", authenticated=True) == "valid_token"
