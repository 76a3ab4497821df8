"""Does the work with requests: a session for each thread."""

import threading

import requests
from work import in_threads

local = threading.local()


def serve(work):
    if not hasattr(local, "session"):
        local.session = requests.Session()
        local.session.trust_env = False
    statuses = []
    for head in work.heads():
        body = work.pieces() if work.how == "stream" else work.body
        answer = local.session.request(work.method, work.url, headers=head, data=body)
        statuses.append(answer.status_code)
    work.done(statuses, answer.content)


in_threads(serve)
