"""The corpus through the gateway's port: what must be refused never reaches the upstream, the rest does."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support import hostile
from tests.support.forge import Hostile, Token
from tests.support.programs import Served, pinned, serving
from tests.support.tokens import KeyPair
from tests.support.wire import Client, Reply, Upstream, get

# Requests sent before the first answer is read.
PIPELINED = 16
# Each batch comes from another address: the log sums up repeated refusals of one address.
TRUSTED = {"COGNITO_GATEWAY_LISTEN__TRUSTED_PROXIES": "[127.0.0.1/32]"}


async def replies(served: Served, corpus: Sequence[Token]) -> list[Reply]:
    """The answers to one request for each token, all on one connection; the path says which token it was."""
    answers = []
    async with await Client.connect(served.port) as client:
        for begin in range(0, len(corpus), PIPELINED):
            batch = corpus[begin : begin + PIPELINED]
            await client.send(
                b"".join(
                    get(
                        f"/{begin + number}",
                        f"Authorization: Bearer {each.token.decode('ascii')}",
                        f"X-Forwarded-For: 198.51.{begin // PIPELINED}.1",
                    )
                    for number, each in enumerate(batch)
                )
            )
            answers += [await client.reply() for _ in batch]
    return answers


async def accepted(served: Served, keypair: KeyPair, *uses: str) -> None:
    """All that must be accepted is. The tightest of them live for a second: they get another chance."""
    makers = {"access": hostile.acceptable_tokens, "id": hostile.acceptable_id_tokens}
    refused: set[str] = set()
    for _ in range(5):
        corpus = [each for use in uses for each in makers[use](keypair)]
        again = [each for each in corpus if each.in_header and (not refused or each.name in refused)]
        answers = await replies(served, again)
        refused = {each.name for each, reply in zip(again, answers, strict=True) if reply.status != 200}
        if not refused:
            return
    raise AssertionError(f"refused: {sorted(refused)}")


def misjudged(corpus: Sequence[Hostile], answers: Sequence[Reply]) -> list[tuple[str, int, bytes]]:
    return [
        (each.name, reply.status, reply.body)
        for each, reply in zip(corpus, answers, strict=True)
        if not refused_well(each, reply)
    ]


def refused_well(each: Hostile, reply: Reply) -> bool:
    """401, or 400 where what stands behind Bearer is no single token (RFC 6750 section 2.1)."""
    expected = (400, "invalid_request") if b"," in each.token else (401, "invalid_token")
    error = re.search(r'error="(\w+)"', reply.get("WWW-Authenticate") or "")
    body = json.loads(reply.body)
    return (reply.status, error and error[1]) == expected and body["status"] == reply.status


async def test_nothing_hostile_passes_and_the_rest_still_does(tmp_path: Path) -> None:
    keypair = KeyPair.generate("access-key")
    async with (
        Upstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pinned(tmp_path, keypair), environ=TRUSTED) as served,
    ):
        await accepted(served, keypair, "access")
        reached = len(upstream.requests)
        assert reached >= 30
        corpus = [each for each in hostile.hostile_tokens(keypair) if each.in_header]
        assert len(corpus) >= 200
        begun = time.monotonic()
        answers = await replies(served, corpus)
        print(f"{len(corpus)} hostile tokens refused in {time.monotonic() - begun:.2f} s")
        assert misjudged(corpus, answers) == []
        assert len(upstream.requests) == reached
        # Each a second time: nothing was remembered that should not be.
        assert misjudged(corpus, await replies(served, corpus)) == []
        assert len(upstream.requests) == reached
        await accepted(served, keypair, "access")
        samples = await served.samples()
        assert not [name for name in samples if re.search(r'requests_total\{code="5', name)]
        assert await served.stop() == 0
        assert served.stderr == ""
        reasons = {line["request_id"]: line["reason"] for line in served.log if line["event"] == "request"}
        told = [reasons[str(reply.get("X-Request-Id"))] for reply in answers]
        wrong = [
            (each.name, reason)
            for each, reason in zip(corpus, told, strict=True)
            if reason != each.reason.reason and b"," not in each.token
        ]
        assert wrong == [], "the log names the check"


async def test_nothing_hostile_passes_where_id_tokens_are_taken(tmp_path: Path) -> None:
    keypair = KeyPair.generate("access-key")
    pools = pinned(tmp_path, keypair).replace("jwks_file", "token_use: [id], jwks_file")
    async with (
        Upstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pools) as served,
    ):
        await accepted(served, keypair, "id")
        reached = len(upstream.requests)
        corpus = [each for each in hostile.hostile_id_tokens(keypair) if each.in_header]
        assert corpus
        assert misjudged(corpus, await replies(served, corpus)) == []
        assert len(upstream.requests) == reached


async def test_in_every_place_a_token_could_hide(tmp_path: Path) -> None:
    """A good token counts in one place only: alone, in the one Authorization header, behind Bearer."""
    keypair = KeyPair.generate("access-key")
    async with (
        Upstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pinned(tmp_path, keypair)) as served,
    ):
        good = hostile.acceptable_tokens(keypair)[0].token.decode()
        places: list[tuple[int, str, list[str]]] = [
            (401, f"/?access_token={good}", []),
            (
                401,
                "/",
                [f"Cookie: access_token={good}; cognito_gateway={good}; AWSELBAuthSessionCookie-0={good}"],
            ),
            (401, "/", [f"X-Authorization: Bearer {good}"]),
            (401, "/", [f"Proxy-Authorization: Bearer {good}"]),
            (401, "/", [f"X-Amzn-Oidc-Accesstoken: {good}"]),
            (401, "/", [f"X-Forwarded-Access-Token: {good}"]),
            (401, "/", ["X-Auth-Request-User: alice"]),
            (401, "/", [f"Authorization: Basic {good}"]),
            (401, "/", [f"Authorization: JWT {good}"]),
            (401, "/", [f"Authorization: {good}"]),
            (400, "/", ["Authorization: Bearer"]),
            (400, "/", [f"Authorization: Bearer {good}", "Authorization: Bearer x"]),
            (400, "/", ["Authorization: Bearer x", f"authorization: Bearer {good}"]),
            (400, "/", [f"Authorization: Bearer {good}, Bearer {good}"]),
            (400, "/", [f"Authorization: Bearer {good} {good}"]),
        ]
        seen = [(await served.ask(target, *lines)).status for _, target, lines in places]
        wrong = [(place[2], got) for place, got in zip(places, seen, strict=True) if got != place[0]]
        assert wrong == []
        assert upstream.requests == []
        assert (await served.bearer(good)).status == 200
        assert await served.stop() == 0
        assert good not in served.stdout + served.stderr
