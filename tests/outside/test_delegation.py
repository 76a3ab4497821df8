"""Tokens that a program exchanged for a user's (RFC 8693): who acts decides, and is sent to the API."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tests.support.emulator import claims
from tests.support.programs import ROOT
from tests.support.site import ALICE, CLIENT, PASSWORD, Site, seed, site
from tests.support.wire import Reply, get, once

SERVICE, AGENT, SECRET = "servicecard", "1agent", "s" * 24
# The page's example, with this pool's ID in place of its own.
PAGE = (ROOT / "docs/machine-clients.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"## Tokens for a user\n.*?```yaml\n(.*?)```", PAGE, re.DOTALL)
EXAMPLE = yaml.safe_load(BLOCK)


def pool() -> dict[str, Any]:
    document = seed()
    (found,) = document["UserPools"]
    found["ResourceServers"] = [
        {
            "Identifier": "orders",
            "Name": "orders",
            "Scopes": [{"ScopeName": "read", "ScopeDescription": "read"}],
        }
    ]
    secret = {"ClientSecret": SECRET, "ClientName": "c"}
    service = {
        "ClientId": SERVICE,
        "ExplicitAuthFlows": ["ALLOW_TOKEN_EXCHANGE_DELEGATION", "ALLOW_TOKEN_EXCHANGE_IMPERSONATION"],
        "AllowedOAuthFlowsUserPoolClient": True,
        "AllowedOAuthFlows": ["code"],
        "AllowedOAuthScopes": ["aws.cognito.signin.user.admin"],
        "CallbackURLs": ["https://service.example/"],
    }
    agent = {
        "ClientId": AGENT,
        "ExplicitAuthFlows": ["ALLOW_CLIENT_TOKEN_AUTH"],
        "AllowedOAuthScopes": ["orders/read"],
    }
    found["Clients"] += [secret | service, secret | agent]
    return document


class Exchange:
    """A user's token, and what a service makes of it."""

    def __init__(self, at: Site) -> None:
        self.call = at.local.call
        sent = {"USERNAME": ALICE, "PASSWORD": PASSWORD}
        request = {"ClientId": CLIENT, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": sent}
        self.own = self.call("InitiateAuth", **request)["AuthenticationResult"]["AccessToken"]

    def derived(self, audience: str, *, acting: bool = True) -> str:
        more: dict[str, str] = {}
        if acting:
            made = self.call("GetClientToken", ClientId=AGENT, Secret=SECRET)["ClientAuthenticationResult"]
            more = {"ActorToken": made["AccessToken"], "ActorTokenType": "ACCESS_TOKEN"}
        subject = {"SubjectToken": self.own, "SubjectTokenType": "ACCESS_TOKEN"}
        who = {"ClientId": SERVICE, "ClientSecret": SECRET}
        return str(
            self.call("GetDerivedToken", **who, **subject, **more, Audiences=[audience])["IssuedToken"]
        )


async def test_who_acts_for_a_user_decides_and_is_sent(tmp_path: Path) -> None:
    (configured,) = EXAMPLE["cognito"]["user_pools"]
    bound = {name: configured[name] for name in ("clients", "audiences")}
    (audience,) = configured["audiences"]
    more = yaml.safe_dump({name: EXAMPLE[name] for name in ("routes", "identity_headers")})
    async with site(tmp_path, seeded=pool(), pool=bound, more=more) as at:
        exchange = Exchange(at)

        async def ask(token: str, path: str, *lines: str) -> Reply:
            return await once(at.worker.port, get(path, f"Authorization: Bearer {token}", *lines))

        # The user, and a service that passes for the user, are not the agent.
        for token in (exchange.own, exchange.derived(audience, acting=False)):
            assert (await ask(token, "/orders/7")).status == 403
            assert (await ask(token, "/elsewhere", "X-Actor: 1agent")).status == 200
            assert at.upstream.last.get("X-Actor") is None
        token = exchange.derived(audience)
        assert claims(token)["act"] == {"sub": AGENT}
        assert (await ask(token, "/orders/7", "X-Actor: mallory")).status == 200
        received = at.upstream.last
        assert received.all("X-Actor") == [AGENT.encode()]
        assert received.get("X-Auth-Request-User") == claims(exchange.own)["sub"].encode()
        # For another API.
        refused = await ask(exchange.derived("https://stock.example.com"), "/orders/7")
        assert refused.status == 401
        assert 'error="invalid_token"' in (refused.get("www-authenticate") or "")
        assert (await at.logged("auth_failure"))[-1]["reason"] == "wrong_audience"
