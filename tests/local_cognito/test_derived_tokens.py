"""Token exchange (RFC 8693), as boto3 and the token endpoint see it."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest

from tests.support.aws_client import FLOWS, Aws
from tests.support.emulator import claims

SCOPES = ["aws.cognito.signin.user.admin", "orders/read", "orders/write"]
BOTH = ["ALLOW_TOKEN_EXCHANGE_DELEGATION", "ALLOW_TOKEN_EXCHANGE_IMPERSONATION"]


class Services:
    """A service that exchanges its users' tokens, and one behind it."""

    def __init__(self, aws: Aws) -> None:
        self.aws, self.pool = aws, aws.pool()
        named = [{"ScopeName": name, "ScopeDescription": name} for name in ("read", "write")]
        server = {"UserPoolId": self.pool.id, "Identifier": "orders", "Name": "orders"}
        aws.idp.create_resource_server(**server, Scopes=named)
        domain = f"p{self.pool.id.lower().replace('_', '-').replace('us-east-1', '')}x"
        aws.idp.create_user_pool_domain(UserPoolId=self.pool.id, Domain=domain.strip("-"))
        self.service = self.client()
        self.machine = self.pool.client(
            GenerateSecret=True,
            ExplicitAuthFlows=["ALLOW_CLIENT_TOKEN_AUTH"],
            AllowedOAuthScopes=["orders/read"],
        )

    def client(self, flows: list[str] | None = None) -> dict[str, Any]:
        return self.pool.client(
            GenerateSecret=True,
            ExplicitAuthFlows=BOTH if flows is None else flows,
            AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthFlows=["code"],
            CallbackURLs=["https://app.example/"],
            AllowedOAuthScopes=SCOPES,
        )

    def request(self, subject: str, client: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        made = client or self.service
        who = {"ClientId": made["ClientId"], "ClientSecret": made["ClientSecret"]}
        return {**who, "SubjectToken": subject, "SubjectTokenType": "ACCESS_TOKEN", **more}

    def actor(self) -> dict[str, str]:
        who = {"ClientId": self.machine["ClientId"], "Secret": self.machine["ClientSecret"]}
        token = self.aws.idp.get_client_token(**who)["ClientAuthenticationResult"]["AccessToken"]
        return {"ActorToken": token, "ActorTokenType": "ACCESS_TOKEN"}

    def derive(self, subject: str, **more: Any) -> dict[str, Any]:
        return dict(self.aws.idp.get_derived_token(**self.request(subject, **more)))

    def refused(self, subject: str, **more: Any) -> tuple[str, str]:
        return self.aws.refused("get_derived_token", **self.request(subject, **more))


@pytest.fixture
def services(aws: Aws) -> Services:
    return Services(aws)


def test_a_users_token_is_exchanged_for_one_service(services: Services) -> None:
    tokens = services.pool.sign_in()
    answer = services.derive(tokens["AccessToken"], Resources=["orders"])
    assert (answer["TokenType"], answer["IssuedTokenType"]) == ("Bearer", "ACCESS_TOKEN")
    subject, derived = claims(tokens["AccessToken"]), claims(answer["IssuedToken"])
    assert (derived["sub"], derived["username"]) == (subject["sub"], "alice")
    assert (derived["aud"], derived["client_id"]) == ("orders", services.service["ClientId"])
    assert derived["scope"] == "aws.cognito.signin.user.admin"
    assert "act" not in derived
    identity = services.derive(
        tokens["IdToken"], SubjectTokenType="ID_TOKEN", RequestedTokenType="ID_TOKEN", Audiences=["billing"]
    )
    assert (identity["TokenType"], claims(identity["IssuedToken"])["aud"]) == ("N_A", "billing")
    services.aws.idp.global_sign_out(AccessToken=tokens["AccessToken"])
    refused = services.aws.refused("get_user", AccessToken=answer["IssuedToken"])
    assert refused == ("NotAuthorizedException", "Access Token has been revoked")
    assert services.refused(tokens["AccessToken"])[0] == "NotAuthorizedException"


def test_an_actor_is_named_and_earlier_ones_stay(services: Services) -> None:
    subject = services.pool.sign_in()["AccessToken"]
    first = services.derive(subject, **services.actor(), Audiences=["orders"])["IssuedToken"]
    named = {"sub": services.machine["ClientId"]}
    assert claims(first)["act"] == named
    second = services.derive(first, **services.actor(), Audiences=["stock"])["IssuedToken"]
    assert claims(second)["act"] == {**named, "act": named}
    assert claims(services.derive(second)["IssuedToken"])["act"] == {**named, "act": named}
    token = second
    for _ in range(3):
        token = services.derive(token, **services.actor())["IssuedToken"]
    assert "too many" in services.refused(token, **services.actor())[1]


def test_no_scope_is_gained(services: Services) -> None:
    subject = services.pool.sign_in()["AccessToken"]
    asked = ["aws.cognito.signin.user.admin", "orders/read"]
    assert services.derive(subject, Scopes=asked)["Scopes"] == asked[:1]
    assert services.refused(subject, Scopes=["orders/read"])[0] == "InvalidParameterException"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"Resources": ["orders"], "Audiences": ["orders"]}, "together"),
        ({"Resources": ["nothing"]}, "not a resource server"),
        ({"SubjectTokenType": "SAML2"}, "user pools only"),
        ({"ActorToken": "a.b.c"}, "ActorTokenType"),
    ],
)
def test_what_cannot_be_exchanged_is_refused(services: Services, more: dict[str, Any], why: str) -> None:
    code, message = services.refused(services.pool.sign_in()["AccessToken"], **more)
    assert (code, why in message) == ("InvalidParameterException", True)


def test_a_client_exchanges_only_as_its_flows_say_and_with_its_secret(services: Services) -> None:
    tokens, actor = services.pool.sign_in(), services.actor()
    subject = tokens["AccessToken"]
    plain, acting = (services.client([flow]) for flow in reversed(BOTH))
    assert "DELEGATION" in services.refused(subject, client=plain, **actor)[1]
    assert "IMPERSONATION" in services.refused(subject, client=acting)[1]
    assert "IMPERSONATION" in services.refused(subject, client=services.client(FLOWS))[1]
    wrong = services.request(subject, ClientSecret="x" * 40)
    assert services.aws.refused("get_derived_token", **wrong)[0] == "NotAuthorizedException"
    signed = services.request(subject)
    del signed["ClientSecret"]
    assert services.aws.idp.get_derived_token(**signed)["IssuedToken"], "IAM credentials do instead"
    assert services.refused(tokens["IdToken"])[0] == "NotAuthorizedException"
    assert services.refused(actor["ActorToken"])[1] == "The subject token is not a user's."


def posted(services: Services, **form: str) -> tuple[int, dict[str, Any]]:
    made = services.service
    given = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "client_id": made["ClientId"],
        "client_secret": made["ClientSecret"],
        **form,
    }
    request = urllib.request.Request(
        services.aws.local.url + "/oauth2/token", urllib.parse.urlencode(given).encode()
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_the_token_endpoint_exchanges_too(services: Services) -> None:
    kind = "urn:ietf:params:oauth:token-type:access_token"
    subject = {"subject_token": services.pool.sign_in()["AccessToken"], "subject_token_type": kind}
    actor = {"actor_token": services.actor()["ActorToken"], "actor_token_type": kind}
    status, answer = posted(services, **subject, **actor, resource="orders")
    assert (status, answer["token_type"], answer["issued_token_type"]) == (200, "Bearer", kind)
    assert "refresh_token" not in answer
    derived = claims(answer["access_token"])
    assert (derived["aud"], derived["act"]) == ("orders", {"sub": services.machine["ClientId"]})
    for more, error in (
        ({**subject, "resource": "nothing"}, "invalid_target"),
        ({**subject, "scope": "orders/write"}, "invalid_scope"),
        ({**subject, "subject_token": "a.b.c"}, "invalid_request"),
        ({"subject_token": "a.b.c"}, "invalid_request"),
        ({**subject, "requested_token_type": "urn:x"}, "invalid_request"),
    ):
        assert posted(services, **more)[1]["error"] == error


def test_another_pools_token_is_no_subject(services: Services) -> None:
    stranger = services.aws.pool()
    assert services.refused(stranger.sign_in()["AccessToken"])[0] == "NotAuthorizedException"
