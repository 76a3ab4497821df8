"""One RSA signature, verified by `cryptography` alone in a loop: what every new token costs."""

from __future__ import annotations

import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from bench.processes import on_cpus
from bench.tokens import Key

BATCHES, EACH = 10, 100
_SIGNED = b"x" * 640


def verification_us(key: Key, cpus: frozenset[int]) -> float:
    """Return the CPU µs of one verification on these CPUs, the least of several batches."""
    public = key.private.public_key()
    signature = key.private.sign(_SIGNED, padding.PKCS1v15(), hashes.SHA256())
    took = []
    with on_cpus(cpus):
        for _ in range(BATCHES):
            began = time.thread_time_ns()
            for _ in range(EACH):
                public.verify(signature, _SIGNED, padding.PKCS1v15(), hashes.SHA256())
            took.append((time.thread_time_ns() - began) / EACH / 1e3)
    return min(took)
