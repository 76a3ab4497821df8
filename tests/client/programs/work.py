"""The work of a client: requests from a file, one a line, and a line for each answer."""

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

WORKERS = 4


class Work(NamedTuple):
    method: str
    path: str
    size: int
    # plain, expect (100-continue) or stream (in chunks, of unknown length).
    how: str
    # none, token or retry: without a token at first, with it after a 401.
    credentials: str

    @property
    def url(self):
        return URL + self.path

    @property
    def body(self):
        """Return its own path, again and again."""
        line = self.path.encode() + b"\n"
        return (line * (self.size // len(line) + 1))[: self.size]

    def pieces(self):
        for at in range(0, self.size, 8192):
            yield self.body[at : at + 8192]

    def heads(self):
        """Return the header fields of each attempt."""
        more = {"Expect": "100-continue"} if self.how == "expect" else {}
        with_token = {**more, "Authorization": f"Bearer {TOKEN}"}
        return {"none": [more], "token": [with_token], "retry": [more, with_token]}[self.credentials]

    def done(self, statuses, body):
        # Written at once, for several threads do.
        sys.stdout.write(f"{self.path} {','.join(map(str, statuses))} {hashlib.sha256(body).hexdigest()}\n")
        sys.stdout.flush()


URL, TOKEN, _file = sys.argv[1:4]
with open(_file) as lines:  # noqa: PTH123
    _fields = [line.split() for line in lines]
WORK = [Work(method, path, int(size), how, credentials) for method, path, size, how, credentials in _fields]


def in_threads(serve):
    """Call `serve` for all the work, in a few threads."""
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(serve, WORK))


async def in_tasks(serve):
    """Await `serve` for all the work, in a few tasks."""
    import asyncio

    waiting = iter(WORK)

    async def some():
        for each in waiting:
            await serve(each)

    await asyncio.gather(*(some() for _ in range(WORKERS)))
