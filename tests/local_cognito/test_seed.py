"""The seed file: what it may hold, and that a mistake in it is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local_cognito import seed
from local_cognito.errors import SeedRefused
from tests.support.emulator import Cognito, claims

POOL: dict[str, Any] = {
    "Id": "eu-west-1_Seeded123",
    "PoolName": "seeded",
    "Schema": [{"Name": "tenant"}],
    "Clients": [
        {
            "ClientId": "seededclient",
            "ClientName": "app",
            "ClientSecret": "s" * 24,
            "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"],
        }
    ],
    "Groups": [{"GroupName": "admins"}],
    "Users": [
        {
            "Username": "carol",
            "Sub": "11111111-1111-4111-8111-111111111111",
            "Password": "Correct-Horse-1",
            "Attributes": {"email": "carol@example.com", "custom:tenant": "acme"},
            "Groups": ["admins"],
        },
        {"Username": "new", "Password": "Correct-Horse-1", "Status": "FORCE_CHANGE_PASSWORD"},
        {"Username": "off", "Password": "Correct-Horse-1", "Enabled": False},
        {"Username": "unconfirmed", "Password": "Correct-Horse-1", "Status": "UNCONFIRMED"},
    ],
}


def document(**changes: Any) -> dict[str, Any]:
    return {"UserPools": [{**POOL, **changes}]}


def test_a_seed_is_there_with_its_ids(cognito: Cognito) -> None:
    seed.apply(cognito.state, document(), cognito.clock.now)
    secret_hash = cognito.secret_hash("seededclient", "carol")
    result = cognito.sign_in("carol", client_id="seededclient", SECRET_HASH=secret_hash)
    access = claims(result["AccessToken"])
    assert access["sub"] == "11111111-1111-4111-8111-111111111111"
    assert access["iss"].endswith("/eu-west-1_Seeded123")
    assert access["cognito:groups"] == ["admins"]
    pool = cognito.call("DescribeUserPool", UserPoolId="eu-west-1_Seeded123")["UserPool"]
    assert pool["Arn"].startswith("arn:aws:cognito-idp:eu-west-1:")


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("new", None),
        ("off", "NotAuthorizedException"),
        ("unconfirmed", "UserNotConfirmedException"),
    ],
)
def test_a_seeded_user_has_the_status_it_was_given(cognito: Cognito, name: str, outcome: str | None) -> None:
    seed.apply(cognito.state, document(), cognito.clock.now)
    secret_hash = cognito.secret_hash("seededclient", name)
    request = cognito.password_request(name, client_id="seededclient", SECRET_HASH=secret_hash)
    if outcome is None:
        assert cognito.call("InitiateAuth", **request)["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
    else:
        assert cognito.refused("InitiateAuth", **request)[0] == outcome


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"Id": "nonsense"}, "UserPools.1: 1 validation error"),
        ({"PoolNam": "x"}, "UserPools.1: PoolNam"),
        ({"Clients": [{"ClientName": "app"}]}, r"UserPools.1.Clients.1: .*'clientId'"),
        ({"Clients": POOL["Clients"] * 2}, "UserPools.1.Clients.2: ClientId seededclient is taken"),
        ({"Clients": "app"}, "'clients' must be a list"),
        ({"Clients": ["app"]}, "must be a map"),
        ({"Groups": [{"GroupName": "a"}, {"GroupName": "a"}]}, "UserPools.1.Groups.2"),
        ({"Users": [{"Username": "x", "Password": "weak"}]}, "UserPools.1.Users.1: Password did not conform"),
        ({"Users": [{"Username": "x", "Sub": "y"}]}, "UserPools.1.Users.1: Sub is not a UUID"),
        ({"Users": [{"Username": "x", "Groups": ["nobody"]}]}, "UserPools.1.Users.1: Group not found"),
        ({"Users": [{"Username": "x", "Status": "FINE"}]}, "UserPools.1.Users.1: .*'status'"),
        ({"Users": [{"Username": "x", "Attributes": {"custom:none": "1"}}]}, "does not exist in the schema"),
    ],
)
def test_a_mistake_is_named_with_its_place(cognito: Cognito, changes: dict[str, Any], where: str) -> None:
    with pytest.raises(SeedRefused, match=where):
        seed.apply(cognito.state, document(**changes), cognito.clock.now)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: [", ":1: is not YAML|:2: is not YAML"),
        ("- 1", "must contain UserPools"),
        ("UserPools: []", "must contain UserPools"),
        ("UserPools: [{}]\nOther: 1", "must contain UserPools"),
        ("", "must contain UserPools"),
        (f"a: {'[' * 5000}{']' * 5000}", "nested too deeply"),
        ("a: 2020-13-45", "quote it"),
        ("a: !!int z", "quote it"),
        ("a: !!timestamp z", "quote it"),
    ],
)
def test_a_file_that_is_no_seed_is_named(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "seed.yaml"
    path.write_text(text)
    with pytest.raises(SeedRefused, match=what) as caught:
        seed.read(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SeedRefused, match="cannot be read"):
        seed.read(tmp_path / "none.yaml")


def test_the_demo_seed_signs_alice_in(cognito: Cognito) -> None:
    seed.apply(cognito.state, seed.read(seed.DEMO), cognito.clock.now)
    client_id = "1demo2client3local4cognito"
    result = cognito.sign_in("alice@example.com", "Wonderland-2024", client_id=client_id)
    assert claims(result["IdToken"])["custom:tenant"] == "acme"
