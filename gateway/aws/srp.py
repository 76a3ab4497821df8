"""SRP client for USER_SRP_AUTH: proves knowledge of the password without sending it (SRP-6a, RFC 5054).

Pure except for random numbers. Cognito differs from RFC 5054: SHA-256, numbers hashed in their shortest
two's-complement form, an HKDF over the secret. The details come from amazon-cognito-identity-js
(AuthenticationHelper) and are tested against pycognito and the local Cognito's server side.

Invariant: a proof is made only for a B that RFC 5054 section 2.5.4 allows; no repr contains a secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime

from gateway.errors import GatewayError

# RFC 3526 section 4: the 3072-bit group. RFC 5054 appendix A pairs it with g = 5, Cognito with 2.
N = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
    "15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7"
    "ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C"
    "BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
    16,
)
G = 2
_INFO = b"Caldera Derived Key\x01"
# Bytes of a device's password and bits of its salt, as in Cognito's own clients.
_DEVICE_PASSWORD, _SALT_BITS = 40, 128
# The timestamp is English in every locale, and its day has no leading zero.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class SrpClient:
    """The secret exponent of one sign-in."""

    def __init__(self, user_pool_id: str, *, exponent: int | None = None) -> None:
        self._pool = user_pool_id.partition("_")[2]
        # 1024 bits, as in Cognito's own clients; RFC 5054 section 2.5.4 requires at least 256.
        self._a = exponent if exponent is not None else secrets.randbits(1024)
        self._public = pow(G, self._a, N)

    @property
    def srp_a(self) -> str:
        return f"{self._public:x}"

    def answers(self, parameters: Mapping[str, str], password: str, now: datetime) -> dict[str, str]:
        """Return the response to PASSWORD_VERIFIER, without USERNAME. `now` is in UTC.

        Raises GatewayError for a malformed challenge."""
        try:
            user, block = parameters["USER_ID_FOR_SRP"], parameters["SECRET_BLOCK"]
            b, salt = _hexadecimal(parameters["SRP_B"]), _hexadecimal(parameters["SALT"])
            secret = base64.b64decode(block, validate=True)
        except (KeyError, ValueError):
            raise GatewayError("Cognito's SRP challenge cannot be read: try again") from None
        stamp = timestamp(now)
        message = self._pool.encode() + user.encode() + secret + stamp.encode("ascii")
        proof = hmac.digest(self._key(user, password, b, salt), message, hashlib.sha256)
        return {
            "TIMESTAMP": stamp,
            "PASSWORD_CLAIM_SECRET_BLOCK": block,
            "PASSWORD_CLAIM_SIGNATURE": base64.b64encode(proof).decode("ascii"),
        }

    def _key(self, user: str, password: str, b: int, salt: int) -> bytes:
        u = _number(_bytes(self._public) + _bytes(b))
        # RFC 5054 section 2.5.4: the client aborts if B or u is 0 (mod N); such a B proves nothing.
        if b % N == 0 or u == 0:
            raise GatewayError("Cognito's SRP challenge is invalid: try again")
        inner = hashlib.sha256(f"{self._pool}{user}:{password}".encode()).digest()
        x = _number(_bytes(salt) + inner)
        k = _number(_bytes(N) + _bytes(G))
        shared = pow(b - k * pow(G, x, N), self._a + u * x, N)
        extracted = hmac.digest(_bytes(u), _bytes(shared), hashlib.sha256)
        return hmac.digest(extracted, _INFO, hashlib.sha256)[:16]


def device_password() -> str:
    """Return a new random password for a device."""
    return base64.b64encode(secrets.token_bytes(_DEVICE_PASSWORD)).decode()


def device_verifier(group_key: str, device_key: str, password: str) -> dict[str, str]:
    """Return the DeviceSecretVerifierConfig of a device (developer guide, "Getting a device key")."""
    salt = secrets.randbits(_SALT_BITS)
    inner = hashlib.sha256(f"{group_key}{device_key}:{password}".encode()).digest()
    verifier = pow(G, _number(_bytes(salt) + inner), N)
    return {
        "PasswordVerifier": base64.b64encode(_bytes(verifier)).decode(),
        "Salt": base64.b64encode(_bytes(salt)).decode(),
    }


def _hexadecimal(text: str) -> int:
    if text[:1] in "+-":  # int() would accept a sign, and an empty text is no number either
        raise ValueError("not a number")
    return int(text, 16)


def timestamp(now: datetime) -> str:
    """Return a time in Cognito's format: `Tue Nov 3 09:05:00 UTC 2026`."""
    return f"{_DAYS[now.weekday()]} {_MONTHS[now.month - 1]} {now.day} {now:%H:%M:%S} UTC {now.year}"


def _bytes(number: int) -> bytes:
    """Return the shortest two's-complement form of a non-negative number, as Java's BigInteger does."""
    return number.to_bytes(number.bit_length() // 8 + 1)


def _number(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(data).digest())
