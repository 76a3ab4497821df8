"""What all tests share."""

from __future__ import annotations

import signal

from hypothesis import settings

# No deadline per example: the first one may have to make an RSA key, and test machines are busy.
settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")

# A shell without job control starts what it runs in the background with SIGINT ignored, and so would all
# programs that these tests start and then interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
