"""Envoy's messages as bytes: the numbers are Envoy's, and all other fields are ignored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError
from grpc_tools import protoc

from gateway.envoy import ext_authz_pb2
from gateway.envoy.ext_authz_pb2 import CheckRequest, CheckResponse
from tests.support.envoy_client import METHOD, check, envoy
from tests.support.programs import ROOT

_SOURCE = Path(ext_authz_pb2.__file__).with_name("ext_authz.proto")


def varint(number: int) -> bytes:
    """An unsigned number in groups of seven bits, the lowest first."""
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def field(number: int, *values: bytes | str) -> bytes:
    """A text, bytes or message, by the number that Envoy's definitions give it; once for each value."""
    encoded = [value.encode() if isinstance(value, str) else value for value in values]
    return b"".join(varint(number << 3 | 2) + varint(len(each)) + each for each in encoded)


def number(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def attributes(*parts: bytes) -> bytes:
    return field(1, b"".join(parts))


def source(address: bytes) -> bytes:
    """attributes.source.address"""
    return field(1, field(1, address))


def http(*parts: bytes) -> bytes:
    """attributes.request.http"""
    return field(4, field(2, b"".join(parts)))


# socket_address: protocol TCP, address, port_value
CLIENT = source(field(1, number(1, 0) + field(2, "192.0.2.7") + number(3, 50000)))
# Fields of Envoy's that are not read: id, query, fragment, size (-1), protocol, body, raw_body.
BESIDES = (
    field(1, "1"), field(7, "a=1"), field(8, "x"), number(9, 2**64 - 1), field(10, "HTTP/2"),
    field(11, "body"), field(12, b"\xff"),
)  # fmt: skip
OPEN = (field(2, "GET"), field(4, "/public/x?y=1"), field(5, "api.test"), field(6, "https"))
# A number that Envoy does not use, in each form that a field can have, groups too.
UNKNOWN = (
    number(900, 7), field(900, b"\xff\x00"), varint(900 << 3 | 1) + bytes(8), varint(900 << 3 | 5) + bytes(4),
    varint(900 << 3 | 3) + number(1, 1) + varint(900 << 3 | 4),
)  # fmt: skip


async def asked(folder: Path, *questions: bytes) -> list[bytes]:
    """The gateway's answers as they came."""
    async with envoy(folder) as (gateway, _):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.worker.grpc_port}") as channel:
            call: Any = channel.unary_unary(METHOD)
            return [await call(question) for question in questions]


async def test_the_numbers_are_envoys(tmp_path: Path) -> None:
    """Written by hand, from the numbers of envoy.service.auth.v3 and envoy.config.core.v3."""
    joined = field(3, field(1, "accept") + field(2, "*/*"), field(1, "x-tenant") + field(2, "evil"))
    raw = field(1, field(1, "te") + field(2, "trailers"), field(1, "x-real-ip") + field(3, "1.1.1.1"))
    single = field(13, raw)
    extensions = field(10, field(1, "k") + field(2, "v"))
    denied = (field(2, "GET"), field(4, "/api"), *OPEN[2:])
    allowed, removed, refused = await asked(
        tmp_path,
        attributes(CLIENT, http(*OPEN, joined, *BESIDES), extensions, field(12, b"")),
        attributes(CLIENT, http(*OPEN, single)),
        attributes(CLIENT, http(*denied)),
    )
    # status: empty is OK; ok_response: empty, or one header to remove.
    assert allowed == field(1, b"") + field(3, b"")
    assert removed == field(1, b"") + field(3, field(5, "x-real-ip"))
    # status 16; denied_response: status 401, headers that overwrite, body.
    assert refused.startswith(field(1, number(1, 16)))
    body = refused[refused.index(b'{"') :]
    assert refused.endswith(field(3, body))
    assert field(1, number(1, 401)) in refused
    typed = field(1, field(1, "Content-Type") + field(2, "application/problem+json"))
    assert field(2, typed + field(2, b"")) in refused


async def test_unknown_members_are_skipped_at_every_depth(tmp_path: Path) -> None:
    plain = attributes(CLIENT, http(*OPEN))
    peer = field(1, field(1, field(1, field(2, "192.0.2.7") + b"".join(UNKNOWN))) + b"".join(UNKNOWN))
    strange = b"".join(UNKNOWN) + attributes(*UNKNOWN, peer, http(*UNKNOWN, *OPEN, *UNKNOWN), *UNKNOWN)
    expected, found = await asked(tmp_path, plain, strange)
    assert found == expected == field(1, b"") + field(3, b"")


async def test_of_a_field_that_stands_twice_the_last_counts_and_messages_are_joined(tmp_path: Path) -> None:
    open_, closed = field(4, "/public/x"), field(4, "/api")
    rest = (field(2, "GET"), field(5, "api.test"), field(6, "https"))
    first, second, parted = await asked(
        tmp_path,
        attributes(CLIENT, http(open_, *rest, closed)),
        attributes(CLIENT, http(closed, *rest, open_)),
        attributes(CLIENT) + attributes(http(open_)) + attributes(http(*rest)),
    )
    assert CheckResponse.FromString(first).denied_response.status.code == 401
    assert CheckResponse.FromString(second).HasField("ok_response")
    assert CheckResponse.FromString(parted).HasField("ok_response")


@pytest.mark.parametrize(
    "question",
    [
        attributes(CLIENT, http(*OPEN))[:-1],
        b"\xff" * 12,
        attributes(CLIENT, http(*OPEN, field(4, b"/public/\xff"))),
        attributes(CLIENT, http(*OPEN)) + varint(900 << 3 | 4),
    ],
    ids=["cut off", "no tag", "no UTF-8", "the end of no group"],
)
async def test_bytes_that_are_no_message_get_no_verdict(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, question: bytes
) -> None:
    with pytest.raises(DecodeError):
        CheckRequest.FromString(question)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asked(tmp_path, question)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "not a CheckRequest"
    assert caplog.text == "", "gRPC's own parsing would log a traceback for each"


async def test_the_last_kind_of_address_counts(tmp_path: Path) -> None:
    """An Envoy's internal address is no IP address, and no pipe that stood before it."""
    pipe, internal = field(2, field(1, "/run/envoy")), field(3, field(1, "listener"))
    answers = await asked(tmp_path, attributes(source(internal + pipe), http(*OPEN)))
    assert CheckResponse.FromString(answers[0]).HasField("ok_response")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asked(tmp_path, attributes(source(pipe + internal), http(*OPEN)))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_the_clients_side_of_these_tests_writes_the_same() -> None:
    ours = CheckRequest.FromString(attributes(CLIENT, http(field(1, "1"), *OPEN, field(10, "HTTP/1.1"))))
    theirs = check("/public/x?y=1")
    del theirs.attributes.request.http.headers[:]
    ours.DiscardUnknownFields()  # type: ignore[no-untyped-call,unused-ignore]
    assert ours == theirs


def test_committed_is_what_is_generated(tmp_path: Path) -> None:
    """`make protos` after a change of ext_authz.proto, or with a newer grpcio-tools."""
    name = _SOURCE.relative_to(ROOT)
    well_known = Path(protoc.__file__).with_name("_proto")
    into = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    assert protoc.main(["protoc", f"-I{ROOT}", f"-I{well_known}", *into, str(name)]) == 0
    for suffix in ("_pb2.py", "_pb2.pyi"):
        made = name.with_name(name.stem + suffix)
        assert (tmp_path / made).read_text() == (ROOT / made).read_text(), "run make protos"


def test_envoys_own_definitions_find_their_names_free() -> None:
    """Theirs have the packages envoy.* and google.rpc, and files of those names."""
    descriptor = ext_authz_pb2.DESCRIPTOR
    assert descriptor.package == "cognito_gateway.ext_authz.v3"
    assert descriptor.name.startswith("gateway/")
    names = {each.full_name for each in descriptor.message_types_by_name.values()}
    assert all(name.startswith("cognito_gateway.") for name in names)
