"""W3C Trace Context: which trace a request belongs to, read from and written into `traceparent`. Pure.

Invariant: what is not exactly a traceparent is none; then a trace of our own begins.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Section 3.2.2: lower-case hexadecimal. Versions after 00 may go on behind another dash.
_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
SAMPLED = 0x01
# Level 2, section 3.2.2.5.2: the trace ID's right half is random; said on as it was heard. Others are unknown
# to version 00 and have to be 0.
_RANDOM = 0x02


class Parent(NamedTuple):
    """The span that a request was made in."""

    trace_id: int
    span_id: int
    flags: int


def parse(value: bytes) -> Parent | None:
    """The parent that a header's value names; None where it is malformed (section 3.2.2)."""
    match = _FORM.fullmatch(value)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == b"ff" or (version == b"00" and more is not None):
        return None
    parent = Parent(int(trace_id, 16), int(span_id, 16), int(flags, 16) & (SAMPLED | _RANDOM))
    return parent if parent.trace_id and parent.span_id else None


def render(trace_id: int, span_id: int, flags: int) -> bytes:
    """The header line that names this span as the parent of what follows."""
    return b"traceparent: 00-%032x-%016x-%02x\r\n" % (trace_id, span_id, flags)
