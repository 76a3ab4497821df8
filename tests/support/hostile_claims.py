"""Hostile tokens with a valid signature, which the payload and claim checks must refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.errors import (
    TokenExpired,
    TokenNotYetValid,
    TokenPayloadRefused,
    WrongAudience,
    WrongClient,
    WrongIssuer,
    WrongTokenUse,
)
from tests.support.forge import Forge, Hostile
from tests.support.tokens import (
    ABSENT,
    compact_json,
    issuer_of,
    updated_issuer_of,
)


def payloads(forge: Forge) -> Iterator[Hostile]:
    good = compact_json(forge.claims())
    texts = {
        "empty": b"",
        "space": b" ",
        "empty object": None,
        "list": b"[" + good + b"]",
        "string": b'"sub"',
        "number": b"1",
        "null": b"null",
        "true": b"true",
        "a JSON text as a string": compact_json(good.decode()),
        "not JSON": b"sub=alice",
        "binary": bytes(range(256)),
        "cut off": good[:-1],
        "trailing comma": good[:-1] + b",}",
        "trailing text": good + b"x",
        "trailing NUL": good + b"\x00",
        "two objects": good + good,
        "comment": good + b"//",
        "single quotes": good.replace(b'"', b"'"),
        "names without quotes": b"{sub:1}",
        "duplicate iss": good[:-1] + b',"iss":"https://evil.example"}',
        "duplicate exp": b'{"exp":1,' + good[1:],
        "duplicate sub": good[:-1] + b',"sub":"mallory"}',
        "duplicate, one escaped": good[:-1] + b',"s\\u0075b":"mallory"}',
        "duplicate, equal": good[:-1] + b',"token_use":"access"}',
        "duplicate in a nested object": good[:-1] + b',"a":[{"x":1,"x":1}]}',
        "byte order mark": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16"),
        "UTF-32": good.decode().encode("utf-32-le"),
        "Latin-1": good.replace(b"alice", b"al\xeece"),
        "invalid UTF-8": good.replace(b"alice", b"al\xff\xfe"),
        "overlong UTF-8": good.replace(b"alice", b"al\xc0\xafce"),
        "surrogate in UTF-8": good.replace(b"alice", b"al\xed\xa0\x80"),
        "cut UTF-8": good.replace(b"alice", b"al\xe2\x82"),
        "form feed as white space": b"\x0c" + good,
        "no-break space as white space": b"\xc2\xa0" + good,
        "zero in front of a number": good[:-1] + b',"x":01}',
        "plus in front of a number": good[:-1] + b',"x":+1}',
        "hexadecimal number": good[:-1] + b',"x":0x1}',
        "number with an underscore": good[:-1] + b',"x":1_0}',
        "point in front": good[:-1] + b',"x":.5}',
        "point at the end": good[:-1] + b',"x":1.}',
    }
    for name, text in texts.items():
        if text is not None:
            yield Hostile(f"payload, {name}", forge.payload_text(text), TokenPayloadRefused)
    # Valid JSON, but without any claim.
    yield Hostile("payload, empty object", forge.payload_text(b"{}"), WrongIssuer)
    members = {
        "NaN": b'"x":NaN',
        "Infinity": b'"x":Infinity',
        "-Infinity": b'"x":-Infinity',
        "1e400": b'"x":1e400',
        "-1e400": b'"x":-1e400',
        "integer of 21 digits": b'"x":184467440737095516150',
        "negative integer of 21 digits": b'"x":-184467440737095516150',
        "integer of 4,300 digits": b'"x":' + b"1" * 4300,
        "integer of 10,000 digits": b'"x":' + b"1" * 10_000,
        "nested 16 deep in the object": b'"x":' + b"[" * 16 + b"]" * 16,
        "objects nested 16 deep in the object": b'"x":' + b'{"x":' * 16 + b"1" + b"}" * 16,
        "nested 5,000 deep": b'"x":' + b"[" * 5000 + b"]" * 5000,
        "nested and never closed": b'"x":' + b"[" * 9000,
        "quotes that never close": b'"x":[[[[[[[[[[[[[[[[[[' + b'\\"' * 4000,
        "lone high surrogate": b'"x":"\\ud800"',
        "lone low surrogate": b'"x":"\\uDC00"',
        "surrogates in the wrong order": b'"x":"\\udc00\\ud800"',
        "lone surrogate in a name": b'"\\uD83D":1',
        "lone surrogate in a list": b'"x":["\\uD83D"]',
        "line feed in a string": b'"x":"a\nb"',
        "NUL in a string": b'"x":"a\x00b"',
        "unknown escape": b'"x":"\\x41"',
        "short escape": b'"x":"\\u12"',
    }
    for name, member in members.items():
        yield Hostile(f"payload, {name}", forge.payload_with(member), TokenPayloadRefused)


def expiries(forge: Forge) -> Iterator[Hostile]:
    now = int(forge.now)
    for value in (None, str(now + 3600), True, False, [now + 3600], {"n": now + 3600}, "", "never"):
        yield Hostile(
            f"exp {type(value).__name__} {str(value)[:5]!r}", forge.access(exp=value), TokenPayloadRefused
        )
    yield Hostile("exp missing", forge.access(exp=ABSENT), TokenPayloadRefused)
    yield Hostile("exp misspelt", forge.access(exp=ABSENT, Exp=now + 3600), TokenPayloadRefused)
    for text in (b"NaN", b"Infinity", b"1e400", b"1" * 30, b'"1e9"'):
        payload = compact_json(forge.claims(exp=0)).replace(b'"exp":0', b'"exp":' + text)
        yield Hostile(f"exp {text.decode()[:12]}", forge.payload_text(payload), TokenPayloadRefused)
    ends: dict[str, float] = {
        "now": now,
        "a second ago": now - 1,
        "an hour ago": now - 3600,
        "zero": 0,
        "minus zero": -0.0,
        "negative": -now,
        "hugely negative": -1e308,
        "a tiny fraction": 5e-324,
    }
    for name, end in ends.items():
        yield Hostile(f"exp {name}", forge.access(exp=end), TokenExpired)


def starts(forge: Forge) -> Iterator[Hostile]:
    now = int(forge.now)
    for name in ("nbf", "iat", "auth_time"):
        wrong: tuple[Any, ...] = (str(now), True, None, [now], {})
        for value in wrong:
            token = forge.access(**{name: value})
            yield Hostile(f"{name} {type(value).__name__}", token, TokenPayloadRefused)
        for ahead in (300, 86_400, 10**15):
            yield Hostile(f"{name} {ahead} s ahead", forge.access(**{name: now + ahead}), TokenNotYetValid)
    yield Hostile("nbf half a minute ahead", forge.access(nbf=now + 30), TokenNotYetValid)
    yield Hostile("iat of milliseconds", forge.access(iat=now * 1000), TokenNotYetValid)


def issuers(forge: Forge) -> Iterator[Hostile]:
    issuer, pool = issuer_of(forge.pool_id), forge.pool_id
    region = pool.partition("_")[0]
    issuers: list[Any] = [
        ABSENT, None, "", 1, True, [issuer], {"iss": issuer}, pool, "*", issuer[:-1], issuer + "x",
        issuer + "/", issuer + "/.well-known/jwks.json", issuer + "?", issuer + "#", issuer + " ",
        " " + issuer, issuer + "\n", issuer + "\x00", issuer.upper(), issuer.swapcase(),
        issuer.replace("https", "http"), issuer.replace("https://", ""),
        issuer.replace("amazonaws.com", "amazonaws.com:443"),
        issuer.replace("amazonaws.com", "amazonaws.com.evil.example"),
        issuer.replace("amazonaws.com", "amazonaws.com."),
        issuer.replace("https://", "https://evil@"), issuer.replace("https://", "https://evil.example/"),
        issuer.replace(region, "us-west-2", 1), issuer_of("us-west-2_" + pool.partition("_")[2]),
        issuer_of(region + "_OtherPool"), issuer.replace("cognito-idp", "cognito-idp-fips"),
        updated_issuer_of(pool).replace("issuer-", "issuer--"), issuer.replace("_", "%5F"),
        issuer.replace("/", "\\"),
        issuer.replace("c", "с"), "https://evil.example/" + pool, issuer + "," + issuer, f"{issuer} {issuer}",
    ]  # fmt: skip
    for index, value in enumerate(issuers):
        yield Hostile(f"iss {index}: {str(value)[:60]!r}", forge.access(iss=value), WrongIssuer)
    yield Hostile("Iss with a capital", forge.access(iss=ABSENT, Iss=issuer), WrongIssuer)


def uses(forge: Forge) -> Iterator[Hostile]:
    uses: list[Any] = [
        ABSENT,
        None,
        "",
        "id",
        "refresh",
        "ID",
        "Access",
        "ACCESS",
        "access ",
        " access",
        "acces",
    ]
    uses += ["access\x00", "access id", True, 1, ["access"], {"access": True}]
    for value in uses:
        yield Hostile(f"token_use {value!r}", forge.access(token_use=value), WrongTokenUse)
    yield Hostile("an ID token", forge.id(), WrongTokenUse)
    yield Hostile("an ID token with client_id", forge.id(client_id=forge.client_id), WrongTokenUse)


def clients(forge: Forge) -> Iterator[Hostile]:
    client = forge.client_id
    clients: list[Any] = [
        ABSENT,
        None,
        "",
        "another0client",
        client[:-1],
        client + "x",
        client.upper(),
        client + " ",
    ]
    clients += [
        client + "\n",
        [client],
        {"id": client},
        1,
        True,
        "*",
        f"{client} another0client",
        f"{client},x",
    ]
    for value in clients:
        yield Hostile(f"client_id {value!r}", forge.access(client_id=value), WrongClient)
    for value in (client, [client]):
        token = forge.access(client_id="another0client", aud=value)
        yield Hostile(f"another client's, aud {value!r}", token, WrongClient)
    others: list[Any] = [
        "https://other.example",
        "",
        [],
        ["https://other.example"],
        client + " ",
        f"{client} x",
    ]
    others += [client.upper(), [client + "/"], "*", f"{client},https://other.example"]
    for value in others:
        yield Hostile(f"bound to another resource, aud {value!r}", forge.access(aud=value), WrongAudience)
    for value in (None, 1, True, {"aud": client}, [client, 1], [[client]], [None]):
        yield Hostile(f"aud {value!r}", forge.access(aud=value), TokenPayloadRefused)
    yield Hostile("aud instead of client_id", forge.access(client_id=ABSENT, aud=client), WrongClient)
    yield Hostile("azp instead of client_id", forge.access(client_id=ABSENT, azp=client), WrongClient)


def subjects(forge: Forge) -> Iterator[Hostile]:
    subjects: list[Any] = [ABSENT, None, "", 1, 0, True, ["alice"], {"sub": "alice"}]
    for value in subjects:
        yield Hostile(f"sub {value!r}", forge.access(sub=value), TokenPayloadRefused)


def texts(forge: Forge) -> Iterator[Hostile]:
    controls = ("\r\nX-Evil: 1", "\n", "\x00", "\x1b[31m", "\x7f", "\x85", "\t")
    for name in ("sub", "username", "scope", "jti", "origin_jti"):
        for control in controls:
            token = forge.access(**{name: f"al{control}ce"})
            yield Hostile(f"{name} with {control!r}", token, TokenPayloadRefused)
        yield Hostile(f"{name} with a lone surrogate", forge.access(**{name: "a\ud800"}), TokenPayloadRefused)
    for name in ("username", "scope", "jti", "origin_jti"):
        for value in (None, 1, True, ["x"], {"x": "y"}):
            yield Hostile(f"{name} {value!r}", forge.access(**{name: value}), TokenPayloadRefused)
    groups: list[Any] = [
        None,
        "admins",
        1,
        True,
        {"admins": True},
        ["users", 1],
        [None],
        [["admins"]],
        [""],
        [True],
    ]
    groups += [[f"ad{control}mins"] for control in controls] + [["admins\ud800"], ["users", "x\r\nadmins"]]
    for value in groups:
        token = forge.access(**{"cognito:groups": value})
        yield Hostile(f"cognito:groups {value!r}", token, TokenPayloadRefused)


def id_tokens(forge: Forge) -> Iterator[Hostile]:
    client = forge.client_id
    yield Hostile("an access token", forge.access(), WrongTokenUse)
    yield Hostile("an access token with aud", forge.access(aud=client), WrongTokenUse)
    audiences: list[Any] = [
        ABSENT,
        None,
        "",
        [client],
        [client, "x"],
        [],
        {"aud": client},
        "another0client",
        1,
    ]
    audiences += [client[:-1], client + "x", client + " ", client.upper(), f"{client} x"]
    for value in audiences:
        yield Hostile(f"aud {value!r}", forge.id(aud=value), WrongClient)
    yield Hostile("client_id instead of aud", forge.id(aud=ABSENT, client_id=client), WrongClient)
    yield Hostile(
        "another client's, own client_id", forge.id(aud="another0client", client_id=client), WrongClient
    )
    for name in ("email", "cognito:username"):
        for value in (None, 1, True, ["alice@example.com"], "a\r\nX-Evil: 1", "a\x00", "a\x9f", "a\udfff"):
            yield Hostile(f"{name} {value!r}", forge.id(**{name: value}), TokenPayloadRefused)
    yield Hostile("expired", forge.id(exp=int(forge.now)), TokenExpired)
    yield Hostile("of another pool", forge.id(iss=issuer_of("us-west-2_OtherPool")), WrongIssuer)


FAMILIES = (payloads, expiries, starts, issuers, uses, clients, subjects, texts)
