"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# No deadline per example: the first one may have to make an RSA key, and test machines are busy.
settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")
