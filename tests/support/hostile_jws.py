"""Hostile tokens for the signature checks: size, shape, encoding, header, kid, signature."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from gateway.errors import (
    BadSignature,
    TokenAlgorithmRefused,
    TokenHeaderRefused,
    TokenMalformed,
    TokenTooLarge,
    UnknownKey,
)
from tests.support.forge import Forge, Hostile, of_size
from tests.support.tokens import (
    ABSENT,
    KeyPair,
    base64url,
    compact_json,
    sign,
    with_signature,
)

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def sizes(forge: Forge) -> Iterator[Hostile]:
    yield Hostile("one byte over the limit", of_size(forge, 16 * 1024 + 1), TokenTooLarge)
    yield Hostile("20 kB, valid otherwise", of_size(forge, 20_000), TokenTooLarge)
    yield Hostile("1 MiB, valid otherwise", forge.access(fill="x" * 786_432), TokenTooLarge)
    yield Hostile("1 MiB of dots", b"." * 1_048_576, TokenTooLarge)
    yield Hostile("20 kB of letters", b"A" * 20_000, TokenTooLarge)


def shapes(forge: Forge) -> Iterator[Hostile]:
    token = forge.access()
    header, payload, signature = token.split(b".")
    flattened = {"protected": header.decode(), "payload": payload.decode(), "signature": signature.decode()}
    general = {
        "payload": payload.decode(),
        "signatures": [{"protected": header.decode(), "signature": signature.decode()}],
    }
    shapes = {
        "empty": b"",
        "one dot": b".",
        "two dots": b"..",
        "one part": header,
        "two parts": header + b"." + payload,
        "two parts and a dot": header + b"." + payload + b".",
        "no header": b"." + payload + b"." + signature,
        "four parts": token + b"." + signature,
        "five parts, like an encrypted token": token + b"." + signature + b"." + signature,
        "dot at the end": token + b".",
        "dot at the start": b"." + token,
        "two dots between": header + b".." + payload + b"." + signature,
        "a hundred dots": b"." * 100,
        "JSON serialization, flattened": compact_json(flattened),
        "JSON serialization, general": compact_json(general),
        "the payload as JSON": compact_json(forge.claims()),
        "line feed at the end": token + b"\n",
        "carriage return and line feed at the end": token + b"\r\n",
        "space at the end": token + b" ",
        "space at the start": b" " + token,
        "tab inside": header + b".\t" + payload + b"." + signature,
        "line folded": token[:100] + b"\r\n " + token[100:],
        "NUL at the end": token + b"\x00",
        "NUL inside": token[:50] + b"\x00" + token[50:],
        "byte order mark in front": b"\xef\xbb\xbf" + token,
        "in quotes": b'"' + token + b'"',
        "scheme inside": b"Bearer " + token,
        "two tokens with a comma": token + b"," + token,
        "two tokens with a space": token + b" " + token,
        "UTF-16": token.decode().encode("utf-16"),
        "full-width dot": header + "．".encode() + payload + b"." + signature,
        "full-width letter": "ｅ".encode() + token[1:],
        "percent-encoded dots": token.replace(b".", b"%2E"),
        "bytes above ASCII": bytes(range(128, 256)),
        "a path": b"../../etc/passwd",
        "unknown words": b"not.a.token!",
    }
    for name, text in shapes.items():
        yield Hostile(name, text, TokenMalformed)


def spellings(forge: Forge) -> Iterator[Hostile]:
    header, payload, signature = forge.parts()
    for name, changed in {
        "padded signature": (header, payload, signature + b"=="),
        "padded once": (header, payload, signature + b"="),
        "percent-encoded padding": (header, payload, signature + b"%3D%3D"),
        "three letters more on the signature": (header, payload, signature + b"AAA"),
        "one letter alone as the header": (b"e", payload, signature),
        "one letter alone as the payload": (header, b"e", signature),
        "one letter alone as the signature": (header, payload, b"e"),
        "plus for minus": (header, payload, b"+" + signature[1:]),
        "slash for underscore": (header, payload, b"/" + signature[1:]),
        "exclamation mark that lax decoders skip": (header, payload, signature[:9] + b"!" + signature[9:]),
        "line feed that lax decoders skip": (header, payload, signature[:76] + b"\n" + signature[76:]),
        "question mark in the header": (header[:5] + b"?" + header[5:], payload, signature),
        "question mark in the payload": (header, payload + b"?", signature),
    }.items():
        yield Hostile(name, b".".join(changed), TokenMalformed)
    # 256 bytes leave four bits of the last character unused, so the same signature has fifteen other
    # encodings.
    last = _ALPHABET.index(signature[-1])
    for bits in range(1, 16):
        other = header + b"." + payload + b"." + signature[:-1] + _ALPHABET[last + bits : last + bits + 1]
        yield Hostile(f"signature with stray bits {bits:04b}", other, TokenMalformed)
    for over in (1, 2):
        text = compact_json({"kid": forge.keypair.kid, "alg": "RS256"})
        token = with_signature(forge.keypair, _stray(text, over) + b"." + payload)
        yield Hostile(f"header with stray bits, {over} bytes over", token, TokenMalformed)
        token = with_signature(forge.keypair, header + b"." + _stray(compact_json(forge.claims()), over))
        yield Hostile(f"payload with stray bits, {over} bytes over", token, TokenMalformed)


def _stray(text: bytes, over: int) -> bytes:
    """Return `text`, padded to `over` bytes beyond a group of three, in base64url with an unused bit set."""
    part = base64url(text + b" " * ((over - len(text)) % 3))
    last = _ALPHABET.index(part[-1])
    return part[:-1] + _ALPHABET[last + 1 : last + 2]


def _public_key_texts(keypair: KeyPair) -> dict[str, bytes]:
    """Return the encodings of a public key that libraries have been tricked into using as an HMAC secret."""
    public = keypair.private_key.public_key()
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = public.public_bytes(serialization.Encoding.PEM, info)
    return {
        "PEM": pem,
        "PEM without its last line feed": pem.rstrip(b"\n"),
        "PKCS1 PEM": public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1),
        "DER": public.public_bytes(serialization.Encoding.DER, info),
        "JWK": compact_json(keypair.jwk()),
        "modulus": keypair.jwk()["n"].encode(),
        "empty": b"",
    }


def algorithms(forge: Forge) -> Iterator[Hostile]:
    names: list[Any] = ["none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "RS384", "RS512", "RS1"]
    names += ["PS256", "PS384", "PS512", "ES256", "ES256K", "EdDSA", "RSA-OAEP", "dir", "rs256", "Rs256"]
    names += [
        "RS256 ",
        " RS256",
        "RS256\x00",
        "RS",
        "",
        None,
        True,
        256,
        ["RS256"],
        {"alg": "RS256"},
        "ＲＳ２５６",
    ]
    for alg in names:
        yield Hostile(f"alg {alg!r}", forge.header(alg=alg), TokenAlgorithmRefused)
    yield Hostile("alg missing", forge.header(alg=ABSENT), TokenAlgorithmRefused)
    yield Hostile("ALG in capitals", forge.header(alg=ABSENT, ALG="RS256"), TokenAlgorithmRefused)
    payload = base64url(compact_json(forge.claims()))
    unsigned = base64url(compact_json({"kid": forge.keypair.kid, "alg": "none"})) + b"." + payload
    yield Hostile("alg none without a signature", unsigned + b".", TokenMalformed)
    yield Hostile("alg none with some signature", unsigned + b".c2ln", TokenAlgorithmRefused)
    for name, secret in _public_key_texts(forge.keypair).items():
        for alg, reason in (("HS256", TokenAlgorithmRefused), ("RS256", BadSignature)):
            signed = base64url(compact_json({"kid": forge.keypair.kid, "alg": alg})) + b"." + payload
            mac = base64url(hmac.digest(secret, signed, "sha256"))
            yield Hostile(f"HMAC keyed with the public key ({name}), alg {alg}", signed + b"." + mac, reason)


def headers(forge: Forge) -> Iterator[Hostile]:
    kid = forge.keypair.kid
    attacker = KeyPair.generate(kid, serial=1)
    strange: dict[str, Any] = {
        "crit": ["exp"], "b64": False, "zip": "DEF", "jku": "https://evil.example/jwks.json",
        "jwk": attacker.jwk(), "x5u": "https://evil.example/cert.pem", "x5c": ["MIIB"],
        "x5t": "dGh1bWI", "x5t#S256": "dGh1bWI",
        "cty": "JWT", "enc": "A256GCM", "epk": {}, "apu": "", "p2c": 1_000_000, "p2s": "c2FsdA", "iss": "me",
        "url": "https://evil.example/", "nonce": "1", "svt": [], "alg ": "none", "": "",
    }  # fmt: skip
    for name, value in strange.items():
        yield Hostile(f"header member {name!r}", forge.header(**{name: value}), TokenHeaderRefused)
    yield Hostile("crit empty", forge.header(crit=[]), TokenHeaderRefused)
    yield Hostile("crit and b64", forge.header(crit=["b64"], b64=False), TokenHeaderRefused)
    own = sign(attacker, forge.claims(), {"jwk": attacker.jwk()})
    yield Hostile("the attacker's key in the header", own, TokenHeaderRefused)
    for typ in (
        "jwt",
        "at+JWT",
        "AT+JWT",
        "application/at+jwt",
        "JWS",
        "JOSE",
        "application/jwt",
        "",
        None,
        1,
        ["JWT"],
        "JWT ",
    ):
        yield Hostile(f"typ {typ!r}", forge.header(typ=typ), TokenHeaderRefused)
    good = compact_json({"kid": kid, "alg": "RS256"})
    texts = {
        "no object: string": b'"RS256"',
        "no object: list": b"[" + good + b"]",
        "no object: null": b"null",
        "no object: number": b"1",
        "not JSON": b"alg=RS256",
        "one brace": b"{",
        "empty object's remains": b"{}}",
        "trailing comma": good[:-1] + b",}",
        "trailing text": good + b"x",
        "two objects": good + good,
        "comment": b"/**/" + good,
        "single quotes": good.replace(b'"', b"'"),
        "duplicate alg, good one last": b'{"alg":"none",' + good[1:],
        "duplicate alg, good one first": good[:-1] + b',"alg":"none"}',
        "duplicate alg, both good": good[:-1] + b',"alg":"RS256"}',
        "duplicate alg, one escaped": good[:-1] + b',"\\u0061lg":"none"}',
        "duplicate kid": b'{"kid":"x",' + good[1:],
        "byte order mark": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16"),
        "invalid UTF-8": good[:-1] + b',"typ":"\xff"}',
        "overlong UTF-8": good[:-1] + b',"typ":"\xc1\xaa"}',
        "surrogate in UTF-8": good[:-1] + b',"typ":"\xed\xa0\x80"}',
        "NaN": good[:-1] + b',"typ":NaN}',
        "huge integer": good[:-1] + b',"typ":' + b"9" * 5000 + b"}",
        "1e400": good[:-1] + b',"typ":1e400}',
        "nested 2,000 deep": good[:-1] + b',"typ":' + b"[" * 2000 + b"]" * 2000 + b"}",
        "nested 17 deep": good[:-1] + b',"typ":' + b"[" * 16 + b"]" * 16 + b"}",
        "NUL at the end": good + b"\x00",
    }
    for name, text in texts.items():
        yield Hostile(f"header, {name}", forge.header_text(text), TokenHeaderRefused)


def kids(forge: Forge) -> Iterator[Hostile]:
    kids: list[Any] = [None, 1, 1.5, True, [forge.keypair.kid], {"kid": forge.keypair.kid}, "", " "]
    kids += [
        "a b",
        "a\x00b",
        "a\r\nX-Evil: 1",
        "a\x7fb",
        "clé",
        "key\ud800",
        forge.keypair.kid + "\n",
        "k" * 257,
    ]
    for kid in kids:
        yield Hostile(
            f"kid {str(kid)[:30]!r} ({type(kid).__name__})", forge.header(kid=kid), TokenHeaderRefused
        )
    yield Hostile("kid missing", forge.header(kid=ABSENT), TokenHeaderRefused)
    yield Hostile("kid of 10 kB", forge.header(kid="k" * 10_000), TokenHeaderRefused)
    for kid in (
        "../../../../dev/null",
        "/etc/passwd",
        "file:///dev/null",
        "https://evil.example/key",
        "';DROP-TABLE-keys;--",
        "1'or'1'='1",
        "$(id)",
        "__proto__",
        "k" * 256,
        forge.keypair.kid[:-1],
        forge.keypair.kid + "=",
        forge.keypair.kid.swapcase(),
    ):
        yield Hostile(f"kid {kid[:30]!r}, unknown", forge.header(kid=kid), UnknownKey)


def signatures(forge: Forge) -> Iterator[Hostile]:
    token = forge.access()
    signed, _, signature_text = token.rpartition(b".")
    header, payload = signed.split(b".")
    other = sign(forge.keypair, forge.claims(username="mallory"))
    signature = forge.keypair.private_key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    attacker = KeyPair.generate(forge.keypair.kid, serial=1)
    larger = KeyPair.generate(forge.keypair.kid, bits=3072, serial=1)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    key = forge.keypair.private_key
    signatures = {
        "all zero": bytes(256),
        "all ones": b"\xff" * 256,
        "one": (1).to_bytes(256, "big"),
        "one byte": b"\x01",
        "255 bytes": signature[1:],
        "last byte missing": signature[:-1],
        "257 bytes, zero in front": b"\x00" + signature,
        "257 bytes, zero behind": signature + b"\x00",
        "twice": signature * 2,
        "reversed": signature[::-1],
        "first bit flipped": bytes([signature[0] ^ 0x80]) + signature[1:],
        "last bit flipped": signature[:-1] + bytes([signature[-1] ^ 1]),
        "the plain digest": hashlib.sha256(signed).digest(),
        "the digest, padded by hand": b"\x00\x01" + b"\xff" * 221 + b"\x00" + hashlib.sha256(signed).digest(),
        "SHA-384": key.sign(signed, padding.PKCS1v15(), hashes.SHA384()),
        "SHA-512": key.sign(signed, padding.PKCS1v15(), hashes.SHA512()),
        "SHA-1": key.sign(signed, padding.PKCS1v15(), hashes.SHA1()),
        "PSS": key.sign(signed, pss, hashes.SHA256()),
        "over the payload alone": key.sign(payload, padding.PKCS1v15(), hashes.SHA256()),
        "over the header alone": key.sign(header, padding.PKCS1v15(), hashes.SHA256()),
        "over the decoded text": key.sign(
            compact_json({"kid": forge.keypair.kid, "alg": "RS256"}), padding.PKCS1v15(), hashes.SHA256()
        ),
        "over the whole token": key.sign(token, padding.PKCS1v15(), hashes.SHA256()),
    }
    for name, changed in signatures.items():
        yield Hostile(f"signature {name}", signed + b"." + base64url(changed), BadSignature)
    yield Hostile("signature plus modulus", _plus_modulus(forge), BadSignature)
    yield Hostile("another key of that name", sign(attacker, forge.claims()), BadSignature)
    yield Hostile("a larger key of that name", sign(larger, forge.claims()), BadSignature)
    yield Hostile("another token's signature", signed + other[other.rindex(b".") :], BadSignature)
    swapped = b".".join((header, other.split(b".")[1], signature_text))
    yield Hostile("another token's payload", swapped, BadSignature)
    relabelled = base64url(compact_json({"kid": forge.keypair.kid, "alg": "RS256", "typ": "JWT"}))
    yield Hostile(
        "header changed after signing", b".".join((relabelled, payload, signature_text)), BadSignature
    )
    reordered = base64url(compact_json({"alg": "RS256", "kid": forge.keypair.kid}))
    yield Hostile(
        "header reordered after signing", b".".join((reordered, payload, signature_text)), BadSignature
    )
    later = base64url(compact_json(forge.claims(exp=int(forge.now) + 10**9)))
    yield Hostile("exp changed after signing", b".".join((header, later, signature_text)), BadSignature)


def _plus_modulus(forge: Forge) -> bytes:
    """s + n verifies like s unless it is compared with n (RFC 8017 section 5.2.2, step 1)."""
    n = forge.keypair.private_key.public_key().public_numbers().n
    while True:
        signed = forge.access().rpartition(b".")[0]
        signature = forge.keypair.private_key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        total = int.from_bytes(signature, "big") + n
        if total.bit_length() <= 2048:
            return signed + b"." + base64url(total.to_bytes(256, "big"))


FAMILIES = (sizes, shapes, spellings, algorithms, headers, kids, signatures)
