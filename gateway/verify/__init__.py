"""Who asks: tokens, key sets, and the way from an Authorization header to a principal.

Order on the way: tokens.decode (bytes to values, no trust) → a key of the issuer's own pool →
tokens.verify (signature, then claims). Invariant: only `tokens.verify` makes a `Claims`.
"""
