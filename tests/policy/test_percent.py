"""Percent-decoding says what urllib's says, and refuses what is no escape."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.policy.percent import unquoted

_NASTY = st.text(alphabet=st.sampled_from("%=0aF9_ .\t\n\r/~"), max_size=30)
_BAD = re.compile(r"%(?![0-9A-Fa-f]{2})")


@given(_NASTY | st.text(alphabet=st.characters(max_codepoint=127)))
@example("%\n")
@example("%\r\n41")
@example("=\n")
@example("%3D%0a=%%41")
@example("trailing %")
@example("trailing blanks  \n")
def test_it_is_urllibs(text: str) -> None:
    if _BAD.search(text):
        with pytest.raises(ValueError, match="percent sign"):
            unquoted(text)
    else:
        assert unquoted(text) == unquote_to_bytes(text)


@given(st.binary(max_size=100))
def test_every_byte_reads_back(data: bytes) -> None:
    for form in ("%{:02x}", "%{:02X}"):
        assert unquoted("".join(form.format(byte) for byte in data)) == data
