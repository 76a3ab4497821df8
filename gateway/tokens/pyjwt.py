"""The parts of PyJWT that jwk.py, jws.py and the signing of assertions use: keys and signatures.

Invariant: nothing here decides what is accepted; the strict checks are in the modules that call it.
"""

from __future__ import annotations

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec

import cryptography


def _load_when_used(name: str) -> None:
    """Defer the import of a submodule of cryptography to its first use (importlib's LazyLoader).

    PyJWT imports x509 for one message about HMAC keys: 45 of its 70 ms and 1.5 of its 3.8 MiB, in each
    process, and a gateway without TLS never needs it.
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

from jwt import InvalidKeyError, PyJWK  # noqa: E402 - after the deferral above
from jwt.algorithms import ECAlgorithm, RSAAlgorithm  # noqa: E402

__all__ = ["ES256", "RS256", "ECAlgorithm", "InvalidKeyError", "PyJWK", "RSAAlgorithm"]

RS256 = RSAAlgorithm(RSAAlgorithm.SHA256)
ES256 = ECAlgorithm(ECAlgorithm.SHA256)
