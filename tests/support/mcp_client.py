"""An MCP client over raw sockets, and its user: each step separately."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support.site import ALICE, PASSWORD, Browser, Site
from tests.support.wire import Reply, get, once

RESOURCE = "https://api.test/mcp"
CALLBACK = "http://127.0.0.1:3334/callback"
MCP = f"mcp: {{resource: '{RESOURCE}'}}\n"


async def post(port: int, target: str, body: str, *lines: str, kind: str) -> Reply:
    head = get(target, f"Content-Type: {kind}", f"Content-Length: {len(body)}", *lines, method="POST")
    return await once(port, head + body.encode("ascii"))


@dataclass
class McpProgram:
    """Registers, redirects the user, redeems codes."""

    port: int
    client_id: str = ""
    redirect_uri: str = CALLBACK
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    resource: str = RESOURCE

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    async def register(self, **members: Any) -> Reply:
        """Register; keep the client ID if there is one."""
        document = {"redirect_uris": [self.redirect_uri], "client_name": "Probe", **members}
        reply = await post(self.port, "/oauth2/register", json.dumps(document), kind="application/json")
        if reply.status == 201:
            self.client_id = json.loads(reply.body)["client_id"]
        return reply

    def authorize(self, **changes: str | None) -> str:
        """Return the authorization request's address; a change to None omits the parameter."""
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            "resource": self.resource,
            "state": "a state",
            **changes,
        }
        return "/oauth2/authorize?" + urlencode({k: v for k, v in query.items() if v is not None})

    async def token(self, *lines: str, **changes: str | None) -> Reply:
        form = {"client_id": self.client_id, **changes}
        body = urlencode({name: value for name, value in form.items() if value is not None})
        return await post(self.port, "/oauth2/token", body, *lines, kind="application/x-www-form-urlencoded")

    async def redeem(self, code: str, **changes: str | None) -> Reply:
        asked: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
            "resource": self.resource,
            **changes,
        }
        return await self.token(**asked)

    async def refresh(self, token: str, **changes: str | None) -> Reply:
        return await self.token(**{"grant_type": "refresh_token", "refresh_token": token, **changes})


async def registered(at: Site, **members: Any) -> McpProgram:
    program = McpProgram(at.worker.port)
    reply = await program.register(**members)
    assert reply.status == 201, reply.body
    return program


async def asked(program: McpProgram, browser: Browser, **changes: str | None) -> Reply:
    """Sign in on the gateway's pages; return the consent page."""
    await browser.open(program.authorize(**changes))
    assert 'name="password"' in browser.text, browser.text
    return await browser.submit(username=ALICE, password=PASSWORD)


def answer_of(reply: Reply) -> dict[str, str]:
    """Return the parameters of a redirect to the client."""
    assert reply.status == 303, reply.body
    location = urlsplit(reply.get("location") or "")
    return dict(parse_qsl(location.query))


async def code_of(program: McpProgram, browser: Browser, **changes: str | None) -> str:
    """Return a code, after all steps through the pages."""
    page = await asked(program, browser, **changes)
    assert page.status == 200, page.body
    answer = answer_of(await browser.submit(decision="allow"))
    assert "error" not in answer, answer
    return answer["code"]


async def tokens_of(program: McpProgram, browser: Browser, **changes: str | None) -> dict[str, Any]:
    reply = await program.redeem(await code_of(program, browser, **changes))
    assert reply.status == 200, reply.body
    tokens: dict[str, Any] = json.loads(reply.body)
    return tokens


async def call(port: int, token: str, target: str = "/mcp", *lines: str) -> Reply:
    return await once(port, get(target, f"Authorization: Bearer {token}", *lines))
