"""An ASGI application that reports each request as it sees it, to the client and in the file $SEEN."""

import json
import os
from pathlib import Path


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    if scope["path"].endswith("/early"):
        # Answers without reading the body.
        await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"early"})
        return
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if event["type"] == "http.disconnect":
            return
        if not event.get("more_body"):
            break
    headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
    seen = {
        "id": dict(headers).get("x-request-id", ""),
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode("latin-1"),
        "script": scope.get("root_path", ""),
        "user": "",
        "headers": headers,
        "body": body.decode("latin-1"),
    }
    line = json.dumps(seen).encode()
    with Path(os.environ["SEEN"]).open("ab", buffering=0) as file:
        file.write(line + b"\n")
    fields = [(b"content-type", b"application/json"), (b"content-length", str(len(line)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": line})
