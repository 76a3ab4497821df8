"""The verdict: only an explicit word opens a path, and every condition is held against the principal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.model import Auth, Route
from gateway.errors import (
    Forbidden,
    InsufficientAuthentication,
    MissingClaim,
    MissingGroup,
    NoCredentials,
    WrongPool,
)
from gateway.policy.decide import VALID_TOKEN, Need, decide, need_of, strictest
from gateway.tokens.claims import Claims
from gateway.tokens.principal import NOTHING, Principal

NOW = 1_800_000_000.0


def claims_of(
    pool_id: str = "eu_1", groups: tuple[str, ...] = (), scopes: frozenset[str] = frozenset()
) -> Claims:
    return Claims(
        pool_id, "", "s", "access", "c", None, None, groups, scopes, 0.0, None, None, None, "k", b"{}"
    )


def who_of(claims: Claims | None = None, named: Mapping[str, Any] = NOTHING) -> Principal:
    return Principal(claims or claims_of(), b"", named)


def needing(auth: Auth = "required", **route: Any) -> Need:
    return need_of(Route("/", None, auth, **route))


def refusal(need: Need, who: Principal) -> Forbidden | None:
    try:
        decide(need, who, NOW)
    except Forbidden as refused:
        return refused
    return None


def test_what_no_route_matches_needs_a_token() -> None:
    assert need_of(None) is VALID_TOKEN
    with pytest.raises(NoCredentials):
        decide(need_of(None), None, NOW)
    assert decide(need_of(None), who_of(), NOW) == "valid_token"


def test_an_unknown_reason_is_refused() -> None:
    with pytest.raises(NoCredentials):
        decide(Need("None"), None, NOW)  # type: ignore[arg-type]  # what a bug would bring


@pytest.mark.parametrize(("auth", "reason"), [("none", "open_route"), ("optional", "anonymous")])
def test_open_routes_say_so(auth: Auth, reason: str) -> None:
    assert decide(needing(auth), None, NOW) == reason


def test_any_of_the_groups_suffices() -> None:
    need = needing(groups=("admins", "ops"))
    assert decide(need, who_of(claims_of(groups=("users", "ops"))), NOW) == "valid_token"
    for groups in ((), ("users",), ("Admins",), ("admins ",), ("admins,ops",)):
        refused = refusal(need, who_of(claims_of(groups=groups)))
        assert isinstance(refused, MissingGroup)
        assert str(refused) == "in none of the groups admins, ops"
        assert (refused.status, refused.reason, refused.scope) == (403, "missing_group", "")


def test_all_of_the_scopes_are_needed() -> None:
    need = needing(scopes=("api/read", "api/write"))
    assert (
        decide(need, who_of(claims_of(scopes=frozenset({"api/read", "api/write", "x"}))), NOW)
        == "valid_token"
    )
    refused = refusal(need, who_of(claims_of(scopes=frozenset({"api/read", "api/writes"}))))
    assert refused is not None
    assert str(refused) == "the token lacks the scopes api/write"
    assert (refused.reason, refused.scope) == ("insufficient_scope", "api/read api/write")


def test_only_the_routes_own_pool_will_do() -> None:
    need = needing(pool="eu_1")
    assert decide(need, who_of(), NOW) == "valid_token"
    assert isinstance(refusal(need, who_of(claims_of(pool_id="eu_2"))), WrongPool)


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        (("acme",), "acme"),
        (("other", "acme"), "acme"),
        (("true",), True),
        (("true",), "true"),
        (("false",), False),
        (("5",), 5),
        (("5",), 5.0),
        (("5.0",), 5),
        (("5",), "5"),
        (("-1.5e3",), -1500),
        (("9007199254740993",), 9007199254740993),
        (("acme",), ["other", "acme"]),
        (("5",), [4, 5]),
        (("[1]",), "[1]"),
    ],
)
def test_a_claim_that_is_accepted(wanted: tuple[str, ...], value: object) -> None:
    assert decide(needing(claims=(("c", wanted),)), who_of(named={"c": value}), NOW) == "valid_token"


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        (("acme",), "Acme"),
        (("acme",), "acme "),
        (("acme",), None),
        (("null",), None),
        (("acme",), {"acme": True}),
        (("acme",), []),
        (("acme",), [["acme"]]),
        (("acme",), ["other", None, {}]),
        (("1",), True),
        (("0",), False),
        (("True",), True),
        (("5",), "5.0"),
        (("05",), 5),
        (("nan", "inf", "1e999"), float("inf")),
        (("9007199254740992",), 9007199254740993),
        (("acme",), "other,acme"),
    ],
)
def test_a_claim_that_is_not(wanted: tuple[str, ...], value: object) -> None:
    refused = refusal(needing(claims=(("c", wanted),)), who_of(named={"c": value}))
    assert isinstance(refused, MissingClaim)
    assert str(refused) == f"the claim c is none of {', '.join(sorted(wanted))}"


def test_a_claim_that_is_not_there() -> None:
    refused = refusal(needing(claims=(("c", ("x",)),)), who_of(named={"d": "x"}))
    assert str(refused) == "the claim c is missing"


def test_all_that_is_missing_is_named_and_the_first_is_the_reason() -> None:
    need = needing(pool="eu_2", groups=("a",), scopes=("s",), claims=(("c", ("x",)), ("d", ("y",))))
    refused = refusal(need, who_of(named={"d": "secret"}))
    assert isinstance(refused, WrongPool)
    assert refused.scope == "s"
    assert str(refused) == (
        "the token is not from the user pool eu_2; in none of the groups a; the token lacks the scopes s; "
        "the claim c is missing; the claim d is none of y"
    )


def test_on_an_optional_route_conditions_are_for_those_with_a_token() -> None:
    need = needing("optional", groups=("admins",))
    assert decide(need, None, NOW) == "anonymous"
    assert decide(need, who_of(claims_of(groups=("admins",))), NOW) == "valid_token"
    assert isinstance(refusal(need, who_of()), MissingGroup)


_names = st.lists(st.sampled_from("abc"), max_size=3, unique=True).map(tuple)
_routes = st.builds(
    lambda auth, groups, scopes, claim, acr, pool: Route(
        "/", None, auth, groups, scopes, (("c", claim),) if claim else (), acr, None, pool
    ),
    st.sampled_from(["none", "optional", "required"]),
    *(_names, _names, _names, _names, st.sampled_from([None, "eu_1", "eu_2"])),
).filter(
    lambda route: (
        route.auth != "none" or not (route.groups or route.scopes or route.claims or route.acr or route.pool)
    )
)
_who = st.none() | st.builds(
    lambda pool, groups, scopes, claim, acr: who_of(
        claims_of(pool, groups, frozenset(scopes)), {"c": list(claim), "acr": acr}
    ),
    *(st.sampled_from(["eu_1", "eu_2"]), _names, _names, _names, st.sampled_from("abcd")),
)


def _may(route: Route, who: Principal | None) -> bool:
    """The rules as the documentation says them, one after the other."""
    if who is None:
        return route.auth != "required"
    claim: Any = who.named.get("c")
    return (
        (not route.groups or any(group in who.claims.groups for group in route.groups))
        and all(scope in who.claims.scopes for scope in route.scopes)
        and all(any(member in accepted for member in claim) for _, accepted in route.claims)
        and route.pool in {None, who.claims.pool_id}
        and (not route.acr or who.named["acr"] in route.acr)
    )


def _allowed(need: Need, who: Principal | None) -> bool:
    try:
        decide(need, who, NOW)
    except (NoCredentials, Forbidden, InsufficientAuthentication):
        return False
    return True


@given(_routes, _who)
def test_the_compiled_need_decides_as_the_rules_do(route: Route, who: Principal | None) -> None:
    assert _allowed(need_of(route), who) is _may(route, who)


@given(st.lists(_routes, min_size=1, max_size=4), _who)
def test_the_strictest_of_several_is_all_of_them(routes: list[Route], who: Principal | None) -> None:
    assert _allowed(strictest([need_of(route) for route in routes]), who) is all(
        _may(route, who) for route in routes
    )


def test_one_and_the_same_need_stays_itself() -> None:
    need = needing(groups=("a",))
    assert strictest([need, needing(groups=("a",))]) is need


# --- RFC 9470: how and when the user signed in ---


def insufficient(need: Need, **named: Any) -> InsufficientAuthentication | None:
    try:
        decide(need, who_of(named=named), NOW)
    except InsufficientAuthentication as refused:
        return refused
    return None


def test_a_recent_sign_in_is_asked_for() -> None:
    need = needing(max_age=300.0)
    assert decide(need, who_of(named={"auth_time": NOW - 300}), NOW) == "valid_token"
    for named in ({"auth_time": NOW - 301}, {}, {"auth_time": None}, {"auth_time": "now"}):
        refused = insufficient(need, **named)
        assert refused is not None, named
        assert (refused.acr_values, refused.max_age) == ("", 300)


def test_a_strong_sign_in_is_asked_for() -> None:
    need = needing(acr=("urn:loa:3", "urn:loa:2"))
    for acr in ("urn:loa:2", "urn:loa:3"):
        assert decide(need, who_of(named={"acr": acr}), NOW) == "valid_token"
    for named in ({"acr": "urn:loa:1"}, {}, {"acr": ["urn:loa:2"]}, {"acr": "URN:LOA:2"}, {"acr": 2}):
        refused = insufficient(need, **named)
        assert refused is not None, named
        # As it was configured: the first is what the client should ask for first.
        assert (refused.acr_values, refused.max_age) == ("urn:loa:3 urn:loa:2", None)


def test_who_lacks_a_group_is_not_sent_to_sign_in_again() -> None:
    need = needing(groups=("admins",), max_age=300.0)
    with pytest.raises(MissingGroup):
        decide(need, who_of(), NOW)


def test_every_reading_of_a_path_asks_for_its_own() -> None:
    need = strictest([needing(max_age=300.0), needing(acr=("a",)), needing("optional")])
    assert insufficient(need, auth_time=NOW, acr="a") is None
    assert insufficient(need, auth_time=NOW) is not None
    assert insufficient(need, acr="a") is not None
    with pytest.raises(NoCredentials):
        decide(need, None, NOW)
