"""The node's name server: SERVICE.NAMESPACE.svc.cluster.local, from the API server's lists, over UDP and TCP.

A program of its own: `python names.py ADDRESS API CA-FILE TOKEN-FILE`. A Service without an address of its
own has those of its ready pods; any other name does not exist.
"""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

_known: dict[str, list[str]] = {}


class Lists:
    """Asks the API server."""

    def __init__(self, api: str, ca: Path, token: Path) -> None:
        self._api = api
        self._head = {"Authorization": f"Bearer {token.read_text()}"}
        self._tls = ssl.create_default_context(cafile=ca)
        # The API server's own certificate is of that name; which address it has is no matter here.
        self._tls.check_hostname = False

    def of(self, path: str) -> list[dict[str, Any]]:
        request = urllib.request.Request(self._api + path, headers=self._head)
        with urllib.request.urlopen(request, context=self._tls, timeout=20) as answer:
            items = json.load(answer)["items"]
        assert isinstance(items, list)
        return items

    def names(self) -> dict[str, list[str]]:
        ready: dict[tuple[str, str], list[str]] = {}
        for each in self.of("/apis/discovery.k8s.io/v1/endpointslices"):
            meta = each["metadata"]
            key = (meta["namespace"], (meta.get("labels") or {}).get("kubernetes.io/service-name", ""))
            for end in each.get("endpoints") or []:
                if (end.get("conditions") or {}).get("ready", True):
                    ready.setdefault(key, []).extend(end["addresses"])
        found = {}
        for each in self.of("/api/v1/services"):
            name, space = each["metadata"]["name"], each["metadata"]["namespace"]
            own = each["spec"].get("clusterIP")
            addresses = ready.get((space, name), []) if own in (None, "None") else [own]
            found[f"{name}.{space}.svc.cluster.local"] = addresses
        return found


def _refresh(lists: Lists) -> None:
    while True:
        try:
            found = lists.names()
        except (OSError, ValueError) as error:
            print("not refreshed:", error, flush=True)
        else:
            _known.clear()
            _known.update(found)
        time.sleep(1)


def answer(query: bytes) -> bytes:
    """One question in, its A records out (RFC 1035 section 4); AAAA of a known name is empty."""
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace").lower())
        at += 1 + query[at]
    kind = struct.unpack(">H", query[at + 1 : at + 3])[0]
    addresses = _known.get(".".join(labels))
    records = addresses if addresses and kind == 1 else []
    flags = 0x8580 | (0 if addresses is not None else 3)
    head = query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0)
    body = b"".join(
        b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 5, 4) + socket.inet_aton(each) for each in records
    )
    return head + query[12 : at + 5] + body


class Datagrams(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        query, sock = self.request
        sock.sendto(answer(query), self.client_address)


class Streams(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        (size,) = struct.unpack(">H", self.rfile.read(2))
        said = answer(self.rfile.read(size))
        self.wfile.write(struct.pack(">H", len(said)) + said)


def main(address: str, api: str, ca: str, token: str) -> None:
    threading.Thread(target=_refresh, args=(Lists(api, Path(ca), Path(token)),), daemon=True).start()
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    streams = socketserver.ThreadingTCPServer((address, 53), Streams)
    threading.Thread(target=streams.serve_forever, daemon=True).start()
    socketserver.ThreadingUDPServer((address, 53), Datagrams).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
