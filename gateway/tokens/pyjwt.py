"""PyJWT's keys and signatures: what jwk.py, jws.py and the signing of assertions have of it.

Invariant: nothing here decides what is accepted; the strict checks stand in the modules that call it.
"""

from __future__ import annotations

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec

import cryptography


def _load_when_used(name: str) -> None:
    """Defer a submodule of cryptography's to its first use (importlib, "Implementing lazy imports").

    PyJWT imports x509 for one sentence about HMAC keys: 45 of the 70 ms and 1.5 of the 3.8 MiB that it costs,
    in each process, and a gateway without TLS has no use for it.
    """
    spec = find_spec(f"cryptography.{name}")
    if spec is None or spec.loader is None or spec.name in sys.modules:
        return
    spec.loader = LazyLoader(spec.loader)
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    setattr(cryptography, name, module)
    spec.loader.exec_module(module)


_load_when_used("x509")

from jwt import InvalidKeyError, PyJWK  # noqa: E402 - after the above
from jwt.algorithms import ECAlgorithm, RSAAlgorithm  # noqa: E402

__all__ = ["ES256", "RS256", "ECAlgorithm", "InvalidKeyError", "PyJWK", "RSAAlgorithm"]

RS256 = RSAAlgorithm(RSAAlgorithm.SHA256)
ES256 = ECAlgorithm(ECAlgorithm.SHA256)
