"""Any path at all: no 5xx of ours, and nothing behind a rule is reached by a spelling the rule does not see.

What reaches the upstream is read once more here, in every way a careless upstream could (decoded again and
again, backslashes as slashes, parameters cut off, dots resolved), by code that shares nothing with ours.
"""

from __future__ import annotations

import asyncio
import posixpath
import tempfile
from pathlib import Path
from urllib.parse import unquote_to_bytes

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.fuzz import examples
from tests.support.running import running
from tests.support.wire import Client

ROUTES = "routes: [{path: '/public/**', auth: none}, {path: '/admin/**', groups: [admins]}]\n"

_pieces = st.sampled_from(
    [
        *(b"/", b"/", b"/", b"public", b"public", b"admin", b"admin", b"a", b"ADMIN", b".", b".."),
        *(b"%2e", b"%2E", b"%2f", b"%2F", b"%5c", b"\\", b";", b";x=y", b"%3b", b"%00", b"%0d%0a", b"%09"),
        *(b"%20", b"%", b"%z", b"%252e", b"%252f", b"%25", b"%c0%ae", b"%c0%af", b"%e2%80%8b", b"%u002e"),
        *(b"#", b"%23", b"?", b"%3f", b"?x=/public/", b"@", b":", b"*", b"%61dmin", b"adm%69n"),
        *(b"\xc3\xa9", b"\xff", b"oauth2"),
    ]
)  # fmt: skip
_paths = st.lists(_pieces, min_size=1, max_size=9).map(lambda pieces: b"/" + b"".join(pieces))
_near = st.lists(_pieces, min_size=1, max_size=6).map(lambda pieces: b"/public/" + b"".join(pieces))


def readings(target: bytes) -> set[bytes]:
    """The paths that upstreams could take this for."""
    found = set()
    path = target.partition(b"?")[0]
    for _ in range(4):
        for parameters in (path, b"/".join(segment.partition(b";")[0] for segment in path.split(b"/"))):
            slashes = parameters.replace(b"\\", b"/")
            for each in (parameters, slashes):
                found.add(posixpath.normpath(b"/" + each.lstrip(b"/")))
        path = unquote_to_bytes(path)
    return found


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_paths | _near, min_size=1, max_size=25))
def test_no_spelling_leads_behind_a_rule(targets: list[bytes]) -> None:
    asyncio.run(_send(targets))


async def _send(targets: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder), ROUTES) as gateway:
            for bearer in (b"", gateway.bearer().encode() + b"\r\n"):
                for target in targets:
                    seen = len(gateway.upstream.requests)
                    async with await Client.connect(gateway.port) as client:
                        head = b"GET " + target + b" HTTP/1.1\r\nHost: api.test\r\n" + bearer + b"\r\n"
                        reply = await client.ask(head)
                    assert reply.status in {200, 400, 401, 403, 404}
                    if reply.status != 200:
                        assert len(gateway.upstream.requests) == seen
                        continue
                    # Exactly what was judged.
                    assert gateway.upstream.last.target == target
                    for path in readings(target):
                        assert not path.startswith((b"/admin/", b"/oauth2/"))
                        assert path not in {b"/admin", b"/oauth2"}
                        assert bearer or path.startswith(b"/public/") or path == b"/public"
        assert [each for each in gateway.log() if each["event"] == "log"] == []
