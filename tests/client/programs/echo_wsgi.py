"""A WSGI application that reports each request as it sees it, to the client and in the file $SEEN."""

import json
import os
from pathlib import Path


def app(environ, start_response):
    if environ["PATH_INFO"].endswith("/early"):
        # Answers without reading the body.
        start_response("403 Forbidden", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [b"early"]
    headers = [
        (name.removeprefix("HTTP_").replace("_", "-").lower(), value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    ]
    body = environ["wsgi.input"].read()
    seen = {
        "id": environ.get("HTTP_X_REQUEST_ID", ""),
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace"),
        "query": environ.get("QUERY_STRING", ""),
        "script": environ.get("SCRIPT_NAME", ""),
        "user": environ.get("REMOTE_USER") or "",
        "headers": headers,
        "body": body.decode("latin-1"),
    }
    line = json.dumps(seen).encode()
    with Path(os.environ["SEEN"]).open("ab", buffering=0) as file:
        file.write(line + b"\n")
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(line)))])
    return [line]
