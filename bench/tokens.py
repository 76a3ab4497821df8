"""Access tokens as signed by Cognito, their key set, and tokens that must be refused.

Signing takes about a millisecond, so tokens are created before the measurement, on every CPU, and passed to
the load generator as a file with one token per line.
"""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import signal
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

POOL_ID = "ap-south-1_BenchPool"
CLIENT_ID = "1example23456789bench0000"
ISSUER = f"https://cognito-idp.ap-south-1.amazonaws.com/{POOL_ID}"
# Size of a usual access token.
TOKEN_BYTES = 983
# Cognito's maximum: a token must outlive a long run.
LIFETIME = 86400


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Key:
    """An RSA key of 2048 bits, like Cognito's, with its kid."""

    kid: str
    private: rsa.RSAPrivateKey

    @classmethod
    def make(cls) -> Key:
        return cls(base64.b64encode(os.urandom(32)).decode(), rsa.generate_private_key(65537, 2048))

    def sign(self, claims: Mapping[str, object], kid: str | None = None) -> str:
        """Return the compact serialization (RFC 7515 section 3.1) of these claims, signed with RS256."""
        header = {"kid": self.kid if kid is None else kid, "alg": "RS256"}
        signing_input = f"{_encode(_json(header))}.{_encode(_json(claims))}"
        signature = self.private.sign(signing_input.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signing_input}.{_encode(signature)}"

    def jwk(self) -> dict[str, str]:
        numbers = self.private.public_key().public_numbers()
        modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)
        return {
            "alg": "RS256",
            "e": _encode(numbers.e.to_bytes(3)),
            "kid": self.kid,
            "kty": "RSA",
            "n": _encode(modulus),
            "use": "sig",
        }

    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def private_pem(self) -> bytes:
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def access_claims(now: int, **changes: object) -> dict[str, object]:
    """Return a Cognito access token's claims; `changes` replace claims, None removes one."""
    claims: dict[str, object] = {
        "sub": str(uuid.uuid4()),
        "iss": ISSUER,
        "client_id": CLIENT_ID,
        "origin_jti": str(uuid.uuid4()),
        "token_use": "access",
        "scope": "aws.cognito.signin.user.admin",
        "auth_time": now,
        "exp": now + LIFETIME,
        "iat": now,
        "jti": str(uuid.uuid4()),
        "username": "bench",
    } | changes
    return {name: value for name, value in claims.items() if value is not None}


class Mint:
    """The benchmark's user pool: two keys in its set, a third that is not, and every token of the run."""

    def __init__(self, now: int | None = None) -> None:
        self.now = int(time.time()) if now is None else now
        self.key, self._second, self._foreign = Key.make(), Key.make(), Key.make()

    def key_set(self) -> bytes:
        return _json({"keys": [self.key.jwk(), self._second.jwk()]})

    def public_pem(self) -> bytes:
        return self.key.public_pem()

    @cached_property
    def _username(self) -> str:
        """A name long enough for TOKEN_BYTES (or one more, since base64 skips some lengths)."""
        name = "bench"
        while len(self.key.sign(access_claims(self.now, username=name))) < TOKEN_BYTES:
            name += "x"
        return name

    def valid(self) -> str:
        return self.key.sign(access_claims(self.now, username=self._username))

    def hostile(self) -> dict[str, str]:
        """Return the tokens that must be refused, by their only fault."""
        claims = access_claims(self.now, username=self._username)
        return {
            "wrong client_id": self.key.sign(claims | {"client_id": "2another23456789bench0000"}),
            "expired": self.key.sign(claims | {"exp": self.now - 60, "iat": self.now - 3660}),
            "bad signature": self._foreign.sign(claims, kid=self.key.kid),
            "wrong issuer": self.key.sign(claims | {"iss": ISSUER + "0"}),
            "wrong token_use": self.key.sign(claims | {"token_use": "id"}),
        }

    def unknown_kids(self, count: int) -> list[str]:
        """Return tokens with distinct kids that are in no key set."""
        claims = access_claims(self.now, username=self._username)
        return [
            self._foreign.sign(claims, kid=base64.b64encode(os.urandom(32)).decode()) for _ in range(count)
        ]

    def forged(self, count: int) -> list[str]:
        """Return distinct tokens signed by a foreign key under the pool's own kid."""
        claims = access_claims(self.now, username=self._username)
        return [self._foreign.sign(claims | {"jti": str(n)}, kid=self.key.kid) for n in range(count)]

    def write(self, path: Path, count: int) -> None:
        """Write `count` distinct valid tokens, one per line, created on every CPU."""
        cpus = os.cpu_count() or 1
        pem, name = self.key.private_pem(), self._username
        sizes = [500] * (count // 500) + ([count % 500] if count % 500 else [])
        if count <= 500:
            path.write_text("".join(_mint(pem, self.key.kid, self.now, name, count)))
            return
        # spawn: a forked child would inherit the benchmark's threads in a broken state.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(cpus, context, _settle, (cpus,)) as pool, path.open("w") as file:
            jobs = [pool.submit(_mint, pem, self.key.kid, self.now, name, size) for size in sizes]
            try:
                for job in jobs:
                    file.writelines(job.result())
            finally:
                # Only after Ctrl-C anything is left to cancel.
                pool.shutdown(cancel_futures=True)


def _settle(cpus: int) -> None:
    """Let a signing process use every CPU, and leave Ctrl-C to its parent."""
    os.sched_setaffinity(0, range(cpus))
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _mint(pem: bytes, kid: str, now: int, username: str, count: int) -> list[str]:
    private = serialization.load_pem_private_key(pem, None)
    assert isinstance(private, rsa.RSAPrivateKey)
    key = Key(kid, private)
    return [key.sign(access_claims(now, username=username)) + "\n" for _ in range(count)]
