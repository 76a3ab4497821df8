"""The transfer of one large body: `python -m bench.load.bulk down|up PORT TOKEN_FILE BYTES`, blocking
sockets.

Exits with 0 only if every byte arrived: counted here for a download, by the upstream for an upload.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench import bulk
from bench.load.lines import answer_size, connect

PIECE = 256 * 1024


def main(direction: str, port: int, token_file: str, size: int) -> None:
    token = Path(token_file).read_text().split()[0]
    method, path = ("GET", bulk.DOWN) if direction == "down" else ("PUT", bulk.UP)
    head = f"{method} {path}{size} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
    if direction == "up":
        head += f"Content-Length: {size}\r\n"
    with connect(port, 0, timeout=60) as sock:
        sock.sendall(head.encode() + b"\r\n")
        if direction == "up":
            piece = memoryview(bytes(PIECE))
            for offset in range(0, size, PIECE):
                sock.sendall(piece[: min(PIECE, size - offset)])
        first = b""
        while (whole := answer_size(first)) is None:
            more = sock.recv(PIECE)
            if not more:
                raise ConnectionError(f"closed after {first[:80]!r}")
            first += more
        if not first.startswith(b"HTTP/1.1 200 "):
            raise ValueError(f"got {first[:80]!r}")
        left, room, last = whole - len(first), bytearray(PIECE), first
        while left:
            count = sock.recv_into(room)
            if not count:
                raise ConnectionError(f"closed with {left} bytes to come")
            left -= count
            last = b"" if direction == "down" else last + room[:count]
    body = whole - first.index(b"\r\n\r\n") - 4
    received = body if direction == "down" else json.loads(last.partition(b"\r\n\r\n")[2])["received"]
    if received != size:
        raise ValueError(f"{received} of {size} bytes came through")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
