"""SRP as implemented by Cognito: SRP-6a over RFC 5054's 3072-bit group, with Cognito's key derivation.

Pure except for randomness. Invariant: only with the password can a signature be made that `proves` accepts,
and the stored salt and verifier cannot be used as a password. Sources: RFC 5054 section 2.5 and appendix A;
`AuthenticationHelper` of AWS's amazon-cognito-identity-js.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

# RFC 5054 appendix A, 3072 bits (RFC 3526's group 15).
N = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05"
    "98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB"
    "9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718"
    "3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33"
    "A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7"
    "ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864"
    "D87602733EC86A64521F2B18177B200CBBE117577A615D6C770988C0BAD946E2"
    "08E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
    16,
)
G = 2
# 768 digits hold every number of the group; some clients pad with zeros.
_HEX = re.compile(r"[0-9A-Fa-f]{1,1024}")
_INFO = b"Caldera Derived Key" + bytes([1])


@dataclass(frozen=True, slots=True)
class Verifier:
    """What is stored instead of a password: RFC 5054's s and v."""

    salt: int = field(repr=False)
    value: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange: the client's A, our b and B, and the block that the answer is bound to."""

    client_public: int = field(repr=False)
    private: int = field(repr=False)
    public: int = field(repr=False)
    verifier: Verifier = field(repr=False)
    block: bytes = field(repr=False)


def verifier(pool_id: str, username: str, password: str) -> Verifier:
    salt = int.from_bytes(secrets.token_bytes(16), "big")
    return Verifier(salt, pow(G, _x(salt, pool_id, username, password), N))


def begin(stored: Verifier, client_public: str) -> Exchange:
    """Start an exchange. Raises ValueError for a malformed A, or one that RFC 5054 section 2.5.4 forbids."""
    if _HEX.fullmatch(client_public) is None:
        raise ValueError("A is not a hexadecimal number")
    a = int(client_public, 16)
    if a % N == 0:
        raise ValueError("A is zero in this group")
    private = int.from_bytes(secrets.token_bytes(32), "big")
    public = (_K * stored.value + pow(G, private, N)) % N
    return Exchange(a, private, public, stored, secrets.token_bytes(768))


def of_user(pool_id: str, username: str) -> bytes:
    """Return the name under which a user's password is proved."""
    return _pool_name(pool_id) + username.encode()


def of_device(group_key: str, device_key: str) -> bytes:
    """Return the name under which a device's password is proved."""
    return f"{group_key}{device_key}".encode()


def proves(exchange: Exchange, name: bytes, *, timestamp: str, signature: str) -> bool:
    """Return whether the signature was made with the password of the exchange's verifier; `name`: whose."""
    u = int.from_bytes(_hash(_bytes(exchange.client_public) + _bytes(exchange.public)), "big")
    shared = pow(exchange.client_public * pow(exchange.verifier.value, u, N), exchange.private, N)
    # RFC 5869 (HKDF) with one block, truncated to 16 bytes.
    pseudo = hmac.digest(_bytes(u), _bytes(shared), hashlib.sha256)
    key = hmac.digest(pseudo, _INFO, hashlib.sha256)[:16]
    message = name + exchange.block + timestamp.encode()
    expected = base64.b64encode(hmac.digest(key, message, hashlib.sha256))
    return u != 0 and hmac.compare_digest(expected, signature.encode())


def _x(salt: int, pool_id: str, username: str, password: str) -> int:
    inner = _hash(_pool_name(pool_id) + f"{username}:{password}".encode())
    return int.from_bytes(_hash(_bytes(salt) + inner), "big")


def _pool_name(pool_id: str) -> bytes:
    return pool_id.partition("_")[2].encode()


def _bytes(value: int) -> bytes:
    """Encode as Java's BigInteger.toByteArray: with a leading zero if the first bit is set."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


_K = int.from_bytes(_hash(_bytes(N) + _bytes(G)), "big")
