"""The control protocol: whole messages out of any pieces, and nonsense refused."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.load import load
from gateway.serve.control import MAX_MESSAGE, ControlError, Decoder, encode, pack, unpack

VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)
MESSAGES = st.lists(st.dictionaries(st.text(), VALUES).map(lambda fields: {**fields, "kind": "k"}))


# A wrong cut shows within a few examples.
@settings(max_examples=30)
@given(messages=MESSAGES, cuts=st.lists(st.integers(0, 400)))
def test_messages_arrive_whole_however_they_are_cut(
    messages: list[dict[str, object]], cuts: list[int]
) -> None:
    data = b"".join(map(encode, messages))
    decoder = Decoder()
    received: list[dict[str, object]] = []
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for begin, end in itertools.pairwise(places):
        received += decoder.feed(data[begin:end])
    assert received == messages


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"kind": 1}', b"\xff\xff"])
def test_nonsense_is_refused(body: bytes) -> None:
    with pytest.raises(ControlError):
        list(Decoder().feed(len(body).to_bytes(4, "big") + body))


def test_a_length_beyond_all_measure_is_refused_before_it_arrives() -> None:
    with pytest.raises(ControlError):
        list(Decoder().feed((MAX_MESSAGE + 1).to_bytes(4, "big")))


def test_a_configuration_survives_the_way(tmp_path: Path) -> None:
    path = tmp_path / "g.yaml"
    path.write_text(
        "listen: {trusted_proxies: [10.0.0.0/8]}\nroutes: [{path: /a, methods: [GET], auth: none}]\n"
    )
    config = load(path, {}).config
    assert unpack(json.loads(json.dumps(pack(config)))) == config
