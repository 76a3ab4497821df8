"""A Django application that reports each request as it sees it, to the client and in the file $SEEN."""

import json
import os
from pathlib import Path

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import re_path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="tests", MIDDLEWARE=[])


def say(request):
    if request.path_info.endswith("/early"):
        # Answers without reading the body.
        return HttpResponse("early", status=403, headers={"Content-Length": "5"})
    meta = request.META
    seen = {
        "id": meta.get("HTTP_X_REQUEST_ID", ""),
        "method": request.method,
        "path": request.path_info,
        "query": meta.get("QUERY_STRING", ""),
        "script": meta.get("SCRIPT_NAME", ""),
        "user": meta.get("REMOTE_USER", ""),
        "headers": [(name.lower(), value) for name, value in request.headers.items()],
        "body": request.body.decode("latin-1"),
    }
    line = json.dumps(seen).encode()
    with Path(os.environ["SEEN"]).open("ab", buffering=0) as file:
        file.write(line + b"\n")
    return HttpResponse(line, content_type="application/json", headers={"Content-Length": str(len(line))})


urlpatterns = [re_path(".*", say)]
app = get_asgi_application()
