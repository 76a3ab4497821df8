"""Cognito tokens, from bytes to verified claims.

The order: claims.decode (bytes to values, no trust) → a key of the issuer's own pool → claims.verify
(signature, then claims). Invariant: only `claims.verify` creates a `Claims`.
"""
