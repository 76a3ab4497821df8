"""Anything at all as a request: no 5xx of ours, nothing unexpected in the log, nothing leaks."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.fuzz import examples
from tests.support.running import running
from tests.support.settling import settled
from tests.support.wire import Client

_pieces = st.sampled_from(
    [
        *(
            b"GET ",
            b"POST ",
            b"HEAD ",
            b"OPTIONS ",
            b"CONNECT ",
            b"get ",
            b"/",
            b"/public/x",
            b"*",
            b"http://api.test/",
        ),
        *(
            b"?q",
            b"#",
            b"%2e",
            b"%zz",
            b"..",
            b" HTTP/1.1",
            b" HTTP/1.0",
            b" HTTP/9.9",
            b"\r\n",
            b"\r\n\r\n",
            b"\n",
            b"\r",
        ),
        *(
            b"Host: api.test\r\n",
            b"Host: ",
            b"Host:\r\n",
            b"Content-Length: 3\r\n",
            b"Content-Length: 0\r\n",
            b"abc",
        ),
        *(
            b"Transfer-Encoding: chunked\r\n",
            b"3\r\nabc\r\n",
            b"0\r\n\r\n",
            b"0\r\nA: b\r\n\r\n",
            b"ffffffffffffffff\r\n",
        ),
        *(
            b"Connection: close\r\n",
            b"Connection: upgrade\r\nUpgrade: websocket\r\n",
            b"Upgrade: h2c\r\n",
            b"Expect: x\r\n",
        ),
        *(
            b"Expect: 100-continue\r\n",
            b"Authorization: Bearer x\r\n",
            b"Authorization: Basic eA==\r\n",
            b"Cookie: a=b\r\n",
        ),
        *(
            b"X-Request-Id: \xff\r\n",
            b"X-Forwarded-For: ,\r\n",
            b": \r\n",
            b" \r\n",
            b"A:\r\n",
            b"\0",
            b"\xff",
            b"\x16\x03",
        ),
        b"GET /public/x HTTP/1.1\r\nHost: api.test\r\n\r\n",
    ]
)
_whole = st.lists(_pieces | st.binary(max_size=6), min_size=1, max_size=14).map(b"".join)


def _requests(head: bytes) -> bytes:
    return b"POST /public/x HTTP/1.1\r\nHost: api.test\r\n" + head


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_whole | _whole.map(_requests), min_size=1, max_size=12), st.integers(1, 4000))
def test_no_bytes_bring_it_down(all_sent: list[bytes], piece: int) -> None:
    asyncio.run(_send(all_sent, piece))


async def _send(all_sent: list[bytes], piece: int) -> None:
    yaml = "routes: [{path: '/public/**', auth: none}]\n"
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder), yaml, listen_lines="header_timeout: 10s") as gateway:
            await asyncio.gather(*(_one(gateway.port, sent, piece) for sent in all_sent))
            await settled(gateway)
            statuses = [status for _, status in gateway.worker.metrics.requests]
            assert not [status for status in statuses if status >= 500]
        ours = [each for each in gateway.log() if each["event"] == "log"]
        # The upstream and the client of the test run in this loop and log through it as well.
        assert [each for each in ours if "gateway" in str(each.get("exception", ""))] == []
        assert [each for each in ours if each["level"] == "error"] == []


async def _one(port: int, sent: bytes, piece: int) -> None:
    async with await Client.connect(port) as client:
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(sent), piece):
                await client.send(sent[at : at + piece])
                await asyncio.sleep(0)
            client.writer.write_eof()
            await asyncio.wait_for(client.reader.read(), 9)
