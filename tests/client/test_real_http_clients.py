"""Real HTTP clients: all answers are right, nothing is lost, and connections are kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.support.http_clients import AT_ONCE, CLIENTS, Door, answers_to, work
from tests.support.odd_requests import ROUTES
from tests.support.peers import serving_peer
from tests.support.running import running
from tests.support.served import SeenFile, deceived, recorded, tokens


@pytest.mark.engine
@pytest.mark.parametrize("name", CLIENTS)
async def test_two_hundred_requests_over_a_few_connections(tmp_path: Path, name: str) -> None:
    seen_file = SeenFile(tmp_path / "seen")
    todo = work()
    async with (
        serving_peer(tmp_path, "uvicorn httptools", seen_file.path) as url,
        running(tmp_path, ROUTES, upstream_url=url) as gateway,
        Door(gateway.port).open() as door,
    ):
        token = tokens(gateway)["@USER@"]
        answered = await answers_to(tmp_path, name, f"http://127.0.0.1:{door.port}", token, todo)
        seen = seen_file.new()
        assert deceived(seen, await recorded(gateway, seen)) == []
    lines = {each["path"]: each for each in seen}
    assert len(seen) == len(lines) == len(todo)
    wrong = []
    for each in todo:
        line = lines[each.path]
        said = b"" if each.method == "HEAD" else json.dumps(line).encode()
        wanted = (each.statuses, hashlib.sha256(said).hexdigest())
        if answered[each.path] != wanted or line["body"].encode() != each.body:
            wrong.append(f"{each}: {answered[each.path]} in place of {wanted}")
    assert not wrong, "\n".join(wrong)
    print(f"{name}: {door.connections} connections")
    # After a refusal, a body that has not arrived yet ends its connection, and fetch's HEAD requests do.
    refused_bodies = sum(each.credentials == "retry" and each.size > 0 for each in todo)
    assert door.connections <= 2 * AT_ONCE + refused_bodies
