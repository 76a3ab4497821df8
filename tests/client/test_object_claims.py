"""Members of object claims, by dots: in routes, and in the headers that the upstream receives."""

from __future__ import annotations

from pathlib import Path

from tests.support.running import running
from tests.support.tokens import access_claims, sign
from tests.support.wire import get, once

CONFIGURATION = (
    "routes:\n  - {path: /**, claims: {act.sub: [agent]}}\n"
    "identity_headers: {claims: {X-Actor: act.sub, X-Nobody: act.name}}\n"
)


async def test_a_member_of_an_object_decides_and_is_sent(tmp_path: Path) -> None:
    async with running(tmp_path, CONFIGURATION) as gateway:
        statuses = []
        for act in ({"sub": "agent"}, {"sub": "other"}, "agent", {"sub": {"sub": "agent"}}):
            token = sign(gateway.key, access_claims(act=act)).decode()
            reply = await once(gateway.port, get("/", f"Authorization: Bearer {token}", "X-Actor: mallory"))
            statuses.append(reply.status)
        assert statuses == [200, 403, 403, 403]
        assert gateway.upstream.last.get("X-Actor") == b"agent"
        assert gateway.upstream.last.get("X-Nobody") is None
