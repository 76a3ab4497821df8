"""What `doctor` makes of what AWS describes: each finding with the one setting that causes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from gateway.aws.provision.wanted import (
    Wanted,
    client_settings,
    fixed_pool_settings,
    pool_settings,
    trust_policy,
)
from gateway.commands.checkup.finding import Finding
from gateway.commands.checkup.identity_findings import judge_identity_pool, judge_trust
from gateway.commands.checkup.key_findings import clock_finding
from gateway.commands.checkup.passkey_findings import judge_passkeys, takes_passkeys
from gateway.commands.checkup.pool_findings import judge_client, judge_pool
from gateway.config.load import load
from gateway.config.model import Config

POOL = "us-east-1_AbCdEfGhI"
IDENTITY_POOL = "us-east-1:00000000-0000-4000-8000-000000000000"

# As `setup` makes them, so that what it makes is what doctor finds good.
GOOD_POOL: dict[str, Any] = {
    "Id": POOL,
    "Name": "orders",
    "MfaConfiguration": "OPTIONAL",
    **fixed_pool_settings(),
    **pool_settings(Wanted("orders")),
}
GOOD_CLIENT: dict[str, Any] = {
    "ClientId": "1abc",
    "ClientName": "orders",
    **client_settings(Wanted("orders")),
}
PROVIDER = {
    "ProviderName": f"cognito-idp.us-east-1.amazonaws.com/{POOL}",
    "ClientId": "1abc",
    "ServerSideTokenCheck": True,
}
GOOD_IDENTITY_POOL: dict[str, Any] = {
    "IdentityPoolName": "orders",
    "AllowUnauthenticatedIdentities": False,
    "CognitoIdentityProviders": [PROVIDER],
}
ROLES = {"Roles": {"authenticated": "arn:aws:iam::000000000000:role/orders-authenticated"}}


def configured(tmp_path: Path, pool: str = "") -> Config:
    path = tmp_path / "g.yaml"
    path.write_text(f"cognito:\n  user_pools:\n    - id: {POOL}\n      client_ids: [1abc]\n{pool}")
    return load(path, {}).config


def said(findings: Iterable[Finding]) -> dict[str, str]:
    """What is not good → its level."""
    found = [finding for finding in findings if finding.level != "good"]
    assert all(finding.why and finding.fix for finding in found)
    return {finding.what: finding.level for finding in found}


def test_the_pool_that_setup_makes_is_good(tmp_path: Path) -> None:
    config = configured(tmp_path)
    pool = config.cognito.user_pools[0]
    assert said(judge_pool(GOOD_POOL, pool, config)) == {}
    assert said(judge_client(GOOD_CLIENT, pool, config)) == {}
    assert said(judge_identity_pool(GOOD_IDENTITY_POOL, ROLES, pool)) == {}
    role = {"RoleName": "r", "AssumeRolePolicyDocument": trust_policy(IDENTITY_POOL)}
    assert said(judge_trust(role, IDENTITY_POOL)) == {}


CASE = "treats Jane@example.com and jane@example.com as two users"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"AdminCreateUserConfig": {}}, "anyone can create an account"),
        ({"MfaConfiguration": "OFF"}, "no second factor is required"),
        ({"DeletionProtection": "INACTIVE"}, "deletion protection is off"),
        ({"UsernameConfiguration": {"CaseSensitive": True}}, CASE),
        (
            {"DeviceConfiguration": {"DeviceOnlyRememberedOnUserPrompt": True}},
            "remembers devices, and USER_PASSWORD_AUTH cannot register one",
        ),
        # AWS describes nothing where nothing was said, and means true.
        ({"UsernameConfiguration": None}, CASE),
        ({"UsernameConfiguration": {}, "UsernameAttributes": [], "AliasAttributes": ["email"]}, CASE),
    ],
)
def test_pools(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    config = configured(tmp_path)
    assert said(judge_pool(GOOD_POOL | change, config.cognito.user_pools[0], config)) == {told: "warning"}


@pytest.mark.parametrize(
    ("pool", "yaml", "level", "told"),
    [
        ("", "sign_in: {auth_flow: USER_SRP_AUTH}", "good", "each sign-in registers one"),
        ("", "sign_in: {auth_flow: USER_AUTH}", "warning", "USER_AUTH cannot register one"),
        (
            "      domain: https://login.example.com\n",
            "sign_in: {pages: managed}",
            "warning",
            "managed login does not register them",
        ),
        ("", "sign_in: {enabled: false}", None, ""),
    ],
)
@pytest.mark.parametrize("asks", [True, False])
def test_findings_about_remembered_devices(
    tmp_path: Path, pool: str, yaml: str, level: str | None, told: str, asks: bool
) -> None:
    config = configured(tmp_path, pool + yaml)
    described = GOOD_POOL | {"DeviceConfiguration": {"DeviceOnlyRememberedOnUserPrompt": asks}}
    found = [
        finding
        for finding in judge_pool(described, config.cognito.user_pools[0], config)
        if "remembers devices" in finding.what
    ]
    assert [finding.level for finding in found] == ([] if level is None else [level])
    assert all(told in finding.what for finding in found)


@pytest.mark.parametrize(
    ("change", "yaml", "told"),
    [
        ({"AutoVerifiedAttributes": []}, "", "does not verify email automatically"),
        ({"UserAttributeUpdateSettings": {}}, "", "replaces a changed email before it is verified"),
        ({"UserAttributeUpdateSettings": {}}, "identity_headers: {email: null}", None),
        (
            {"UserAttributeUpdateSettings": {}},
            "identity_headers: {email: null}\nroutes: [{path: /x, claims: {email: a@example.com}}]",
            "replaces a changed email before it is verified",
        ),
        (
            {},
            "identity_headers: {claims: {X-Phone: phone_number}}",
            "does not verify phone_number automatically",
        ),
        (
            {},
            "identity_headers: {unverified: send}",
            "unverified addresses are sent to the upstream",
        ),
    ],
)
def test_findings_about_unverified_addresses(
    tmp_path: Path, change: dict[str, Any], yaml: str, told: str | None
) -> None:
    config = configured(tmp_path, yaml)
    found = said(judge_pool(GOOD_POOL | change, config.cognito.user_pools[0], config))
    assert found == ({} if told is None else {told: "warning"})


def test_the_issuer_that_the_configuration_does_not_list(tmp_path: Path) -> None:
    config = configured(tmp_path, f"      issuers: [https://cognito-idp.us-east-1.amazonaws.com/{POOL}]\n")
    pool = config.cognito.user_pools[0]
    updated = GOOD_POOL | {"IssuerConfiguration": {"Type": "UPDATED"}}
    told = f"issues tokens as https://issuer-cognito-idp.us-east-1.amazonaws.com/{POOL}"
    assert said(judge_pool(updated, pool, config)) == {f"{told}, which issuers does not list": "broken"}
    assert said(judge_pool(GOOD_POOL, pool, config)) == {}


@pytest.mark.parametrize(
    ("change", "told", "level"),
    [
        ({"ClientSecret": "s"}, "has a secret that the configuration does not name", "broken"),
        (
            {"ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]},
            "does not allow USER_PASSWORD_AUTH",
            "broken",
        ),
        ({"ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"]}, "does not allow refreshing tokens", "broken"),
        ({"PreventUserExistenceErrors": "LEGACY"}, "reveals whether a user exists", "warning"),
        ({"EnableTokenRevocation": False}, "its tokens cannot be revoked", "warning"),
        ({"AccessTokenValidity": 8}, "its access tokens are valid for 8 hours", "warning"),
        (
            {"AccessTokenValidity": 90, "TokenValidityUnits": {"AccessToken": "minutes"}},
            "its access tokens are valid for 1.5 hours",
            "warning",
        ),
    ],
)
def test_clients(tmp_path: Path, change: dict[str, Any], told: str, level: str) -> None:
    config = configured(tmp_path)
    assert said(judge_client(GOOD_CLIENT | change, config.cognito.user_pools[0], config)) == {told: level}


def test_more_users_than_the_calls_for_revocation_suffice_for(tmp_path: Path) -> None:
    def found(users: int, revocation: str) -> dict[str, str]:
        config = configured(tmp_path, f"  revocation: {{{revocation}}}\n")
        described = GOOD_POOL | {"EstimatedNumberOfUsers": users}
        return said(judge_pool(described, config.cognito.user_pools[0], config))

    # docs/revocation.md, "Calls": 30 × 30 × 0.7.
    assert found(630, "check_every: 30s") == {}
    told = "checking 640 users every 30 s takes 30 calls a second, and calls_per_second is"
    assert found(640, "check_every: 30s") == {f"{told} 30": "warning"}
    assert found(640, "check_every: 30s, calls_per_second: 31") == {}
    assert found(640, "check_every: null") == {}


MACHINE = GOOD_CLIENT | {"ClientId": "2nightly", "ClientSecret": "s", "ExplicitAuthFlows": []}


ROTATES = "rotates refresh tokens without a grace period"


@pytest.mark.parametrize(
    ("rotation", "more", "warned"),
    [
        ({"Feature": "ENABLED", "RetryGracePeriodSeconds": 0}, "listen: {workers: 2}\n", True),
        ({"Feature": "ENABLED"}, "listen: {workers: auto}\n", True),
        ({"Feature": "ENABLED", "RetryGracePeriodSeconds": 10}, "listen: {workers: 2}\n", False),
        ({"Feature": "DISABLED"}, "listen: {workers: 2}\n", False),
        (None, "listen: {workers: 2}\n", False),
        ({"Feature": "ENABLED"}, "", False),
        ({"Feature": "ENABLED"}, "listen: {workers: 2}\nsign_in: {enabled: false}\n", False),
        (
            {"Feature": "ENABLED"},
            "listen: {workers: 2}\nsign_in: {session: {store: redis, redis_url: 'redis://r'}}\n",
            False,
        ),
    ],
)
def test_rotation_without_grace_where_several_workers_renew(
    tmp_path: Path, rotation: dict[str, Any] | None, more: str, warned: bool
) -> None:
    config = configured(tmp_path, more)
    client = GOOD_CLIENT | ({} if rotation is None else {"RefreshTokenRotation": rotation})
    found = said(judge_client(client, config.cognito.user_pools[0], config))
    assert found == ({ROTATES: "warning"} if warned else {})


def test_a_client_whose_tokens_are_only_verified(tmp_path: Path) -> None:
    """docs/machine-clients.md: its secret is its own, and nobody signs in with it."""
    config = configured(tmp_path)
    pool = dataclasses.replace(config.cognito.user_pools[0], client_ids=("1abc", "2nightly"))
    assert said(judge_client(MACHINE, pool, config)) == {}
    first = dataclasses.replace(pool, client_ids=("2nightly", "1abc"))
    assert set(said(judge_client(MACHINE, first, config)).values()) == {"broken"}


def test_nobody_signs_in_where_the_pages_are_off(tmp_path: Path) -> None:
    config = configured(tmp_path)
    off = dataclasses.replace(config, sign_in=dataclasses.replace(config.sign_in, enabled=False))
    assert said(judge_client(MACHINE | {"ClientId": "1abc"}, config.cognito.user_pools[0], off)) == {}


def test_managed_login_needs_both_redirect_urls(tmp_path: Path) -> None:
    config = configured(tmp_path, "      domain: https://login.example.com\nsign_in: {pages: managed}\n")
    listen = dataclasses.replace(config.listen, public_url="https://api.example.com")
    config, pool = dataclasses.replace(config, listen=listen), config.cognito.user_pools[0]
    known: dict[str, Any] = {
        "CallbackURLs": ["https://api.example.com/oauth2/callback"],
        "LogoutURLs": ["https://api.example.com/oauth2/"],
        "AllowedOAuthFlows": ["code"],
    }
    assert said(judge_client(GOOD_CLIENT | known, pool, config)) == {}
    assert said(judge_client(GOOD_CLIENT | known | {"LogoutURLs": []}, pool, config)) == {
        "does not allow the sign-out URL https://api.example.com/oauth2/": "warning"
    }
    assert said(judge_client(GOOD_CLIENT | known | {"CallbackURLs": []}, pool, config)) == {
        "does not allow the callback URL https://api.example.com/oauth2/callback": "broken"
    }


def test_a_secret_that_the_client_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s\n")
    config = configured(tmp_path, "      client_secret_file: secret\n")
    assert said(judge_client(GOOD_CLIENT, config.cognito.user_pools[0], config)) == {
        "has no secret, but the configuration names one": "broken"
    }


@pytest.mark.parametrize(
    ("change", "roles", "told", "level"),
    [
        ({"CognitoIdentityProviders": []}, ROLES, "does not accept tokens of 1abc", "broken"),
        (
            {"CognitoIdentityProviders": [PROVIDER | {"ClientId": "2"}]},
            ROLES,
            "does not accept tokens of 1abc",
            "broken",
        ),
        (
            {"CognitoIdentityProviders": [PROVIDER | {"ServerSideTokenCheck": False}]},
            ROLES,
            "does not check tokens with the user pool",
            "warning",
        ),
        ({"AllowUnauthenticatedIdentities": True}, ROLES, "gives AWS credentials to anyone", "warning"),
        ({}, {}, "has no role for authenticated users", "broken"),
    ],
)
def test_identity_pools(
    tmp_path: Path, change: dict[str, Any], roles: dict[str, Any], told: str, level: str
) -> None:
    pool = configured(tmp_path).cognito.user_pools[0]
    assert said(judge_identity_pool(GOOD_IDENTITY_POOL | change, roles, pool)) == {told: level}


def test_roles() -> None:
    def judged(document: Any) -> dict[str, str]:
        return said(judge_trust({"RoleName": "r", "AssumeRolePolicyDocument": document}, IDENTITY_POOL))

    nobody = {"does not trust only this identity pool": "broken"}
    assert judged(trust_policy("us-east-1:11111111-0000-4000-8000-000000000000")) == nobody
    nothings: tuple[Any, ...] = (None, {}, {"Statement": []})
    for nothing in nothings:
        assert judged(nothing) == nobody
    anybody = trust_policy(IDENTITY_POOL)
    del anybody["Statement"][0]["Condition"]["ForAnyValue:StringLike"]
    assert judged(anybody) == {"can be assumed without signing in": "warning"}
    # IAM lets a single statement stand without a list.
    single = trust_policy(IDENTITY_POOL)
    single["Statement"] = single["Statement"][0]
    assert judged(single) == {}


@pytest.mark.parametrize(
    ("ahead", "level"),
    [
        (0, "good"),
        (4, "good"),
        (-4, "good"),
        (7, "warning"),
        (-7, "warning"),
        (300, "warning"),
        (-62, "broken"),
    ],
)
def test_the_clock(ahead: int, level: str) -> None:
    # 1_800_000_000 in a Date header.
    assert clock_finding("Fri, 15 Jan 2027 08:00:00 GMT", 1_800_000_000.5 + ahead).level == level


def test_an_unknown_clock() -> None:
    assert clock_finding(None, 0).level == "unknown"
    assert clock_finding("yesterday", 0).level == "unknown"


@pytest.mark.parametrize(
    ("party", "url", "level", "told"),
    [
        ("api.example.com", "https://api.example.com", "good", "which covers https://api.example.com"),
        ("example.com", "https://api.example.com", "good", "which covers https://api.example.com"),
        ("example.com", "https://badexample.com", "broken", "and the pages are at https://badexample.com"),
        ("login.example.com", "https://example.com", "broken", "has passkeys for login.example.com"),
        ("example.com", None, "good", "by this name or a subdomain"),
        ("", "https://api.example.com", "broken", "has no relying party ID for passkeys"),
    ],
)
def test_passkeys_of_another_site(tmp_path: Path, party: str, url: str | None, level: str, told: str) -> None:
    config = configured(tmp_path, "sign_in: {auth_flow: USER_AUTH}\n")
    config = dataclasses.replace(config, listen=dataclasses.replace(config.listen, public_url=url))
    pool = config.cognito.user_pools[0]
    settings = {"WebAuthnConfiguration": {"RelyingPartyId": party}} if party else {}
    (finding,) = judge_passkeys(settings, pool, config)
    assert finding.level == level
    assert told in finding.what


def test_passkeys_are_checked_where_our_pages_take_them(tmp_path: Path) -> None:
    factors = {"Policies": {"SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "WEB_AUTHN"]}}}
    for yaml, described, asked in (
        ("sign_in: {auth_flow: USER_AUTH}\n", factors, True),
        ("", factors, False),
        ("sign_in: {auth_flow: USER_AUTH}\n", {}, False),
        ("sign_in: {auth_flow: USER_AUTH, enabled: false}\n", factors, False),
        (
            "      domain: https://login.example.com\nsign_in: {auth_flow: USER_AUTH, pages: managed}\n",
            factors,
            False,
        ),
    ):
        config = configured(tmp_path, yaml)
        assert takes_passkeys(GOOD_POOL | described, config.cognito.user_pools[0], config) == asked
