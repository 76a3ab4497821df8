"""The client's side of Cognito's SRP, written from RFC 5054 and AWS's client, independently of ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

from local_cognito.srp import G, N


def _pad(number: int) -> str:
    digits = f"{number:x}"
    if len(digits) % 2:
        return "0" + digits
    return "00" + digits if digits[0] in "89abcdef" else digits


def _hash(text: str) -> int:
    return int(hashlib.sha256(bytes.fromhex(text)).hexdigest(), 16)


class SrpClient:
    def __init__(self, pool_id: str, password: str) -> None:
        self._pool = pool_id.split("_")[1]
        self._password = password
        self._a = int.from_bytes(hashlib.sha256(b"test").digest(), "big")
        self.public = f"{pow(G, self._a, N):x}"

    def answer(self, parameters: Mapping[str, str], now: float) -> dict[str, str]:
        """Return the responses to a PASSWORD_VERIFIER challenge."""
        user, block = parameters["USER_ID_FOR_SRP"], parameters["SECRET_BLOCK"]
        salt, b = int(parameters["SALT"], 16), int(parameters["SRP_B"], 16)
        u = _hash(_pad(int(self.public, 16)) + _pad(b))
        inner = hashlib.sha256(f"{self._pool}{user}:{self._password}".encode()).hexdigest()
        x = _hash(_pad(salt) + inner)
        k = _hash(_pad(N) + _pad(G))
        shared = pow(b - k * pow(G, x, N), self._a + u * x, N)
        pseudo = hmac.digest(bytes.fromhex(_pad(u)), bytes.fromhex(_pad(shared)), "sha256")
        key = hmac.digest(pseudo, b"Caldera Derived Key\x01", "sha256")[:16]
        moment = datetime.fromtimestamp(now, UTC)
        timestamp = f"{moment:%a %b} {moment.day} {moment:%H:%M:%S} UTC {moment:%Y}"
        message = self._pool.encode() + user.encode() + base64.b64decode(block) + timestamp.encode()
        return {
            "USERNAME": user,
            "PASSWORD_CLAIM_SECRET_BLOCK": block,
            "TIMESTAMP": timestamp,
            "PASSWORD_CLAIM_SIGNATURE": base64.b64encode(hmac.digest(key, message, "sha256")).decode(),
        }
