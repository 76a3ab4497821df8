"""Raw bytes and fragments in a request target: 400, and the log says that it is the target."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.running import logged, running
from tests.support.wire import once


@pytest.mark.parametrize(
    "target", [b"/k\xc3\xa4se", b"/a?q=\xc3\xbc", b"/a\xff", b"/page#part", b"/a?b#c", b"/#", b"/a\x7f"]
)
async def test_the_refusal_does_not_repeat_the_target(tmp_path: Path, target: bytes) -> None:
    async with running(tmp_path, "routes: [{path: /**, auth: none}]\n") as gateway:
        reply = await once(gateway.port, b"GET " + target + b" HTTP/1.1\r\nHost: api.test\r\n\r\n")
        assert reply.status == 400
        assert "percent-encoded" in json.loads(reply.body)["detail"]
        assert target not in reply.body
        (line,) = await logged(gateway, "request", 1)
        assert line["reason"] == "bad_target"
        (refused,) = await logged(gateway, "request_refused", 1)
        assert refused["exact"]
        assert gateway.upstream.requests == []
