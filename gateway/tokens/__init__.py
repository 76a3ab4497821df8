"""Cognito's tokens: from bytes to claims.

Order on the way: claims.decode (bytes to values, no trust) → a key of the issuer's own pool →
claims.verify (signature, then claims). Invariant: only `claims.verify` makes a `Claims`.
"""
