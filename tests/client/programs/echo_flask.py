"""A Flask application that reports each request as it sees it, to the client and in the file $SEEN."""

import json
import os
from pathlib import Path

import flask

app = flask.Flask("api")


@app.before_request
def say():
    request = flask.request
    if request.path.endswith("/early"):
        # Answers without reading the body.
        return "early", 403
    seen = {
        "id": request.headers.get("X-Request-Id", ""),
        "method": request.method,
        "path": request.path,
        "query": request.query_string.decode("latin-1"),
        "script": request.script_root,
        "user": request.remote_user or "",
        "headers": [(name.lower(), value) for name, value in request.headers],
        "body": request.get_data().decode("latin-1"),
    }
    line = json.dumps(seen).encode()
    with Path(os.environ["SEEN"]).open("ab", buffering=0) as file:
        file.write(line + b"\n")
    return line, {"Content-Type": "application/json"}
