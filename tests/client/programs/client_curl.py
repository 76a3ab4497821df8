"""Does the work with curl, in one process: all requests follow each other on its connections."""

import subprocess
import sys
import tempfile
from pathlib import Path

from work import WORK


def quoted(text):
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    config, attempts = [], []
    for number, work in enumerate(WORK):
        sent = folder / f"{number}.sent"
        sent.write_bytes(work.body)
        for attempt, head in enumerate(work.heads()):
            got = folder / f"{number}.{attempt}"
            # curl itself expects 100-continue for large bodies only; an empty value takes the field away.
            fields = {"Expect": "", "User-Agent": "curl", **head}
            if work.how == "stream":
                fields["Transfer-Encoding"] = "chunked"
            options = {"url": work.url, "output": got, "write-out": "%{http_code}\\n", "noproxy": "*"}
            options |= {"head": ""} if work.method == "HEAD" else {"request": work.method}
            options |= {"data-binary": f"@{sent}"} if work.size else {}
            config += [
                f"{option} = {quoted(value)}" if value != "" else option for option, value in options.items()
            ]
            config += [
                f"header = {quoted(f'{field}: {value}' if value else f'{field}:')}"
                for field, value in fields.items()
            ]
            config += ["silent", "show-error", "next"]
            attempts.append(work)
    file = folder / "config"
    file.write_text("\n".join(config[:-1]))
    done = subprocess.run([sys.argv[4], "-q", "-K", file], capture_output=True, text=True, check=True)
    statuses = {}
    for work, status in zip(attempts, done.stdout.split(), strict=True):
        statuses.setdefault(work, []).append(status)
    for number, (work, seen) in enumerate(statuses.items()):
        got = folder / f"{number}.{len(seen) - 1}"
        work.done(seen, got.read_bytes() if got.exists() and work.method != "HEAD" else b"")
