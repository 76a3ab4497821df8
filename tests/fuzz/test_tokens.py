"""Any change at all to a good token: it is refused, by a 401 or 400 of ours and nothing else."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.tokens import base64url
from tests.support.fuzz import examples
from tests.support.running import Running, running
from tests.support.wire import get, once

# All that may stand in a header's value, besides the whitespace around it, which is no part of it.
_text = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=8)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=5,
)
_header = st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "cty", "enc"]),
    _json | st.sampled_from(["none", "None", "HS256", "RS512", "ES256", "PS256", "RS256", "key-1", "JWT"]),
    max_size=4,
)


class Cut:
    """Some of the token's characters replaced by others."""

    def __init__(self, at: float, length: int, text: str) -> None:
        self.at, self.length, self.text = at, length, text

    def __repr__(self) -> str:
        return f"Cut({self.at}, {self.length}, {self.text!r})"

    def __call__(self, token: str) -> str:
        begin = int(self.at * len(token))
        return token[:begin] + self.text + token[begin + self.length :]


_cuts = st.lists(st.builds(Cut, st.floats(0, 1), st.integers(0, 30), _text), min_size=1, max_size=3)


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_cuts, min_size=1, max_size=20), st.lists(_header, max_size=10), st.lists(_json, max_size=5))
def test_no_change_to_a_token_passes(
    cuts: list[list[Cut]], headers: list[object], payloads: list[object]
) -> None:
    asyncio.run(_send(cuts, headers, payloads))


async def _send(cuts: list[list[Cut]], headers: list[object], payloads: list[object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder)) as gateway:
            good = gateway.token()
            head, payload, signature = good.split(".")
            tried = [good]
            for several in cuts:
                changed = good
                for cut in several:
                    changed = cut(changed)
                tried.append(changed)
            tried += [f"{_encoded(header)}.{payload}.{signature}" for header in headers]
            tried += [f"{head}.{_encoded(each)}.{signature}" for each in payloads]
            for token in tried:
                await _refused(gateway, token, good)
        assert [each for each in gateway.log() if each["event"] == "log"] == []


def _encoded(value: object) -> str:
    return base64url.encode(json.dumps(value).encode()).decode()


async def _refused(gateway: Running, token: str, good: str) -> None:
    seen = len(gateway.upstream.requests)
    reply = await once(gateway.port, get("/", f"Authorization: Bearer {token}"))
    if token == good:
        assert reply.status == 200
        return
    assert reply.status in {400, 401}, (token, reply)
    assert (reply.get("www-authenticate") or "").startswith("Bearer ")
    assert len(gateway.upstream.requests) == seen
    # Nothing of it is told to anybody.
    assert token[-20:].encode() not in reply.head + reply.body or len(token) < 20
