"""Hundreds of odd requests, for any real server behind the gateway: what is authorised is what is served.

Targets below /denied/ need a group that nobody is in, and values with FORGED in them may reach no server, nor those
with ODD unless `underscores` says so: a server that reports any of these was deceived.
"""

from __future__ import annotations

from dataclasses import dataclass

ROUTES = """\
routes:
- {path: /public/**, auth: none}
- {path: /maybe/**, auth: optional}
- {path: /read/**, methods: [GET, HEAD], auth: none}
- {path: /restricted/**, groups: [admins]}
- {path: /denied/**, groups: [nobody]}
"""
# `send` puts tokens in their places.
USER, ADMIN = "Authorization: Bearer @USER@", "Authorization: Bearer @ADMIN@"


@dataclass(frozen=True)
class Row:
    """The bytes of one connection, the gateway's answers, and what the server has to see of the first request."""

    sent: bytes
    answers: tuple[int, ...] = (200,)
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    # Whether the client ends its side behind them.
    fin: bool = True


def ask(
    target: str = "/public/a",
    *lines: str,
    method: str = "GET",
    version: str = "HTTP/1.1",
    host: str | None = "Host: api.test",
    body: bytes = b"",
) -> bytes:
    """Return a request; `lines` are whole header lines."""
    head = [f"{method} {target} {version}", *([host] if host is not None else []), *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


SMUGGLED = ask("/denied/smuggled")
CHUNKED = "Transfer-Encoding: chunked"
LAST = b"0\r\n\r\n"


def post(*lines: str, body: bytes = b"", target: str = "/public/a", version: str = "HTTP/1.1") -> bytes:
    return ask(target, *lines, method="POST", body=body, version=version)


def _paths() -> dict[str, Row]:
    served = {
        "plain": "/public/a", "a root of a rule": "/public", "a slash at the end": "/public/", "three dots": "/public/...",
        "dots in a name": "/public/a..b/.hidden/c.", "a tilde": "/public/~a", "a space": "/public/a%20b",
        "a plus": "/public/a+b", "UTF-8": "/public/k%C3%A4se", "UTF-8 in lower case": "/public/k%c3%a4se",
        "an encoded letter": "/%70ublic/a", "an encoded tilde": "/public/%7Ea", "a colon": "/public/a:b@c",
        "sub-delims": "/public/!$&'()*+,=", "an encoded question mark": "/public/a%3Fb=/denied/x",
        "an encoded hash": "/public/a%23b", "an encoded percent": "/public/100%25", "an emoji": "/public/%F0%9F%98%80",
        "a quote": '/public/a"b', "brackets": "/public/a[0]{b}|c^d`", "angles": "/public/<a>",
        "a query with dots": "/public/a?../../denied/x", "a query with a slash": "/public/a?x=/denied/x",
        "an empty query": "/public/a?", "two question marks": "/public/a?b?c=d", "a query with semicolons": "/public/a?b;c=d&e",
        "a query with escapes": "/public/a?b=%2e%2e%2f%00%zz", "a query with brackets": "/public/a?b[]=1&b[]=2&c={}",
        "a query of a path parameter": "/public/a?;jsessionid=FORGE", "a repeated parameter": "/public/a?b=1&b=2",
        "a query of a script": "/public/a?%3Cscript%3E", "a long path": "/public/" + "a" * 4000,
        "many segments": "/public" + "/a" * 300, "a long query": "/public/a?" + "b" * 4000,
        "a non-character": "/public/%EF%BF%BF",
        "a full-width slash": "/public/%EF%BC%8F..%EF%BC%8Fdenied", "a one-dot leader": "/public/%E2%80%A4%E2%80%A4",
        "a combining mark": "/public/e%CC%81", "a right-to-left mark": "/public/%E2%80%8Fa",
    }  # fmt: skip
    refused = {
        "a dot segment": "/public/../denied/x", "one dot": "/public/./x", "dots at the end": "/public/..",
        "encoded dots": "/public/%2e%2e/denied/x", "half encoded dots": "/public/.%2E/denied/x",
        "a slash encoded": "/public%2fx", "dots and an encoded slash": "/public/..%2fdenied/x",
        "an encoded backslash": "/public/..%5cdenied", "a backslash": "/public\\..\\denied\\x",
        "two slashes": "/public//x", "two slashes first": "//denied/x", "three slashes first": "///api.test/denied/x",
        "doubly encoded dots": "/public/%252e%252e/denied/x", "a doubly encoded slash": "/public/..%252fdenied",
        "an escape half encoded": "/public/%%32e%%32e/x", "a bad escape": "/public/%zz", "an escape cut off": "/public/a%2",
        "a percent sign": "/public/100%", "NUL": "/public/a%00b", "NUL before an ending": "/denied/x%00.png",
        "CR LF": "/public/a%0d%0aX:%20y", "a tab": "/public/%09..", "a newline": "/public/a%0a", "DEL": "/public/a%7f",
        "a semicolon": "/public/a;b=c", "dots and a semicolon": "/public/..;/denied/x", "an empty parameter": "/public;/x",
        "an encoded semicolon": "/public/a%3Bb", "overlong dots": "/public/%c0%ae%c0%ae/denied", "Latin-1": "/public/k%e4se",
        "an overlong slash": "/public/%c0%afdenied", "a surrogate": "/public/%ed%a0%80", "IIS's escape": "/public/%u002e%u002e",
        "a fragment": "/public/a#/denied/x", "a fragment in a query": "/public/a?b#c", "raw Latin-1": "/public/k\xe4se",
        "a raw DEL": "/public/a\x7f", "a star": "*", "no slash": "public/a", "an authority": "api.test:80",
        "a relative reference": "../denied/x", "a file": "file:///denied/x", "our own prefix, encoded": "/oauth2%2fx",
        "a dot behind a parameter": "/public/a;/../../denied", "an escape of an escape": "/public/%25%32%65",
        "a parameter for a segment": "/public/;/denied/x", "a parameter first": "/;/denied/x", "a dot with a parameter": "/.;/denied/x",
        "two dots with parameters": "/public/x;/..;a=b/..;/denied/x", "encoded dots and a semicolon": "/public/%2e%2e;/denied/x",
        "a parameter on a denial": "/denied;/x", "an encoded one on a denial": "/denied%3b/x", "a denial in an encoded slash": "/public/%2fdenied",
        "an encoded slash first": "/%2fdenied/x", "an encoded slash in a denial": "/denied%2fx", "a denial behind two slashes": "/public//denied/x",
        "a denial with two slashes": "/denied//x", "encoded slashes back": "/public%2f..%2fdenied/x", "a backslash first": "/%5cdenied/x",
        "an encoded backslash in a denial": "/denied%5cx", "a read with a parameter": "/read;a/x", "an encoded slash of a user": "/x%2fy",
    }  # fmt: skip
    unsigned = {
        "denied": "/denied/x", "in upper case": "/PUBLIC/a", "an encoded denial": "/%64enied/x", "a longer name": "/publicx",
        "a shorter name": "/publi", "a query of an open path": "/denied/x?/public/a", "the root": "/", "a dot in front": "/.public/a",
        "a full-width name": "/%EF%BD%90ublic/a", "a soft hyphen": "/pub%C2%ADlic/a", "a long s": "/public%C5%BF/a",
        "a trailing space": "/public%20/a", "an NBSP": "/public%C2%A0/a",
    }  # fmt: skip
    return (
        {name: Row(ask(target)) for name, target in served.items()}
        | {name: Row(ask(target), (400,)) for name, target in refused.items()}
        | {name: Row(ask(target), (401,)) for name, target in unsigned.items()}
        | {
            "a user's path": Row(ask("/anything", USER)),
            "a user where admins are wanted": Row(ask("/restricted/x", USER), (403,)),
            "an admin": Row(ask("/restricted/x", ADMIN)),
            "an admin with an encoded letter": Row(ask("/%72estricted/x%20y", ADMIN)),
            "an admin where nobody may": Row(ask("/denied/x", ADMIN), (403,)),
            "optional, nobody": Row(ask("/maybe/x")),
            "optional, a user": Row(ask("/maybe/x", USER)),
            "a user on an open route": Row(ask("/public/a", USER)),
            "a bad token on an open route": Row(ask("/public/a", "Authorization: Bearer FORGED")),
            "another scheme on an open route": Row(ask("/public/a", "Authorization: Basic YTpi")),
            "two tokens": Row(ask("/anything", USER, ADMIN), (400,)),
        }
    )


def _targets() -> dict[str, Row]:
    long_host = "Host: " + "a" * 300 + ".test"
    return {
        "absolute form": Row(ask("http://api.test/public/a?b")),
        "absolute form, https": Row(ask("https://api.test/public/a")),
        "absolute form, host in upper case": Row(ask("HTTP://API.test/public/a")),
        "absolute form without a path": Row(ask("http://api.test"), (401,)),
        "absolute form with a query alone": Row(ask("http://api.test?/public/a"), (401,)),
        "absolute form, another host": Row(ask("http://other.test/public/a"), (400,)),
        "absolute form, another port": Row(ask("http://api.test:81/public/a"), (400,)),
        "absolute form with userinfo": Row(ask("http://u@api.test/public/a"), (400,)),
        "absolute form with an escape": Row(ask("http://api%2etest/public/a"), (400,)),
        "absolute form, denied": Row(ask("http://api.test/denied/x"), (401,)),
        "absolute form with dots": Row(ask("http://api.test/public/../denied/x"), (400,)),
        "absolute form in two slashes": Row(ask("http://api.test//denied/x"), (400,)),
        "absolute form of another scheme": Row(ask("ftp://api.test/public/a"), (400,)),
        "absolute form with a backslash": Row(ask("http:\\\\api.test\\public\\a"), (400,)),
        "a URL in the path": Row(ask("/http://api.test/denied/x"), (400,)),
        "Host with a port": Row(ask(host="Host: api.test:8000")),
        "Host in upper case": Row(ask(host="Host: API.TEST")),
        "Host with a dot": Row(ask(host="Host: api.test.")),
        "Host, IPv6": Row(ask(host="Host: [::1]:80")),
        "Host, empty": Row(ask(host="Host:")),
        "Host, long": Row(ask(host=long_host)),
        "Host in lower case": Row(ask(host="host: api.test")),
        "Host with a port of five zeros": Row(ask(host="Host: api.test:00080")),
        "Host behind others": Row(ask("/public/a", "X-First: a", "Host: api.test", host=None)),
        "no Host": Row(ask(host=None), (400,)),
        "two Hosts": Row(ask("/public/a", "Host: api.test"), (400,)),
        "Host with a path": Row(ask(host="Host: api.test/denied"), (400,)),
        "Host with userinfo": Row(ask(host="Host: a@api.test"), (400,)),
        "Host, a list": Row(ask(host="Host: api.test, b.test"), (400,)),
        "Host with a space": Row(ask(host="Host: api.test b"), (400,)),
        "Host before a colon and a space": Row(ask(host="Host : api.test"), (400,)),
        "no Host in HTTP/1.0": Row(ask(host=None, version="HTTP/1.0")),
        "HTTP/1.0": Row(ask(version="HTTP/1.0")),
        "HTTP/1.0, kept": Row(ask("/public/a", "Connection: keep-alive", version="HTTP/1.0")),
        "HTTP/1.0 with a body": Row(post("Content-Length: 3", body=b"abc", version="HTTP/1.0"), body=b"abc"),
        "HTTP/1.0, chunked": Row(post(CHUNKED, body=LAST + SMUGGLED, version="HTTP/1.0"), (400,)),
        "HTTP/1.0, denied": Row(ask("/denied/x", version="HTTP/1.0"), (401,)),
        "HTTP/0.9": Row(b"GET /public/a\r\n", ()),
        "HTTP/1.2": Row(ask(version="HTTP/1.2"), (400,)),
        "HTTP/2": Row(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400,)),
        "http/1.1": Row(ask(version="http/1.1"), (400,)),
        "two spaces": Row(ask(" /public/a")),
        "a space in the target": Row(ask("/public/a /denied/x"), (400,)),
        "a tab in the target": Row(ask("/public/a\t"), (400,)),
        "a tab for a space": Row(b"GET\t/public/a\tHTTP/1.1\r\nHost: api.test\r\n\r\n", (400,)),
        "an empty line first": Row(b"\r\n" + ask()),
        "spaces at the end of the line": Row(ask(version="HTTP/1.1 "), (400,)),
    }


def _methods() -> dict[str, Row]:
    served = (
        "DELETE",
        "PUT",
        "PATCH",
        "OPTIONS",
        "PROPFIND",
        "PURGE",
        "QUERY",
        "M-SEARCH",
        "MKCOL",
        "REPORT",
        "LINK",
    )
    refused = {"get": 400, "Post": 400, "TRACE": 405, "GET\x00": 400, "G(T": 400, "": 400, "A" * 33: 400}
    length = "Content-Length: 0"
    return (
        {f"method {each}": Row(ask("/public/a", length, method=each)) for each in served}
        | {
            f"method {each!a}": Row(ask("/public/a", method=each), (status,))
            for each, status in refused.items()
        }
        | {
            "HEAD": Row(ask(method="HEAD")),
            "HEAD of a read": Row(ask("/read/a", method="HEAD")),
            "GET of a read": Row(ask("/read/a")),
            "POST of a read": Row(ask("/read/a", length, method="POST"), (401,)),
            "POST of a read, overridden": Row(
                ask("/read/a", length, "X-HTTP-Method-Override: GET", method="POST"), (401,)
            ),
            "get of a read": Row(ask("/read/a", method="get"), (400,)),
            "Head of a read": Row(ask("/read/a", method="Head"), (400,)),
            "CONNECT": Row(ask("api.test:80", method="CONNECT"), (405,)),
            "CONNECT of a path": Row(ask("/public/a", method="CONNECT"), (405,)),
            "OPTIONS *": Row(ask("*", method="OPTIONS"), (400,)),
            "GET with a body": Row(ask("/public/a", "Content-Length: 3", body=b"abc"), body=b"abc"),
            "DELETE with a body": Row(
                ask("/public/a", "Content-Length: 3", method="DELETE", body=b"abc"), body=b"abc"
            ),
        }
    )


def _headers() -> dict[str, Row]:
    forged = (
        "SCRIPT_NAME: /FORGED", "Script-Name: /public/FORGED", "PATH_INFO: /denied/FORGED", "Path-Info: /denied/FORGED",
        "PATH-INFO: /denied/FORGED", "REQUEST_URI: /denied/FORGED", "Request-Method: FORGED", "QUERY_STRING: FORGED",
        "Daphne-Root-Path: /FORGED", "Daphne_Root_Path: /FORGED", "X-Script-Name: /FORGED", "X-Forwarded-Prefix: /FORGED",
        "X_Forwarded_Prefix: /FORGED", "REMOTE_USER: FORGED", "Remote-User: FORGED", "X-Remote-User: FORGED",
        "X_Remote.User: FORGED", "Proxy: http://FORGED", "X-Auth-Request-User: FORGED", "X_Auth_Request_User: FORGED",
        "x-auth-request-user: FORGED", "X.Auth.Request.User: FORGED", "X-Auth-Request_Groups: FORGED,admins",
        "X-Auth-Request-Anything: FORGED", "X-Forwarded-For: FORGED", "X-Forwarded-For: 10.9.8.7, FORGED",
        "X_Forwarded_For: FORGED", "X-Forwarded-Host: FORGED", "X-Forwarded-Proto: FORGED", "Forwarded: for=FORGED",
        "X-Real-IP: FORGED", "X-Original-URL: /denied/FORGED", "X-Rewrite-URL: /denied/FORGED", "X-Original-Method: FORGED",
        "X-Amzn-Oidc-Identity: FORGED", "X-Accel-Redirect: /FORGED", "X-Sendfile-Type: FORGED", "HTTP_X_REMOTE_USER: ODD",
        "HTTP_HOST: ODD", "SERVER_NAME: FORGED", "Server-Port: FORGED", "X-SSL-Client-Cert: FORGED",
        "Ssl-Client-Verify: FORGED", "Cookie: cognito_gateway=FORGED", "Cookie: __Host-cognito_gateway=FORGED",
        "X_Request_Id: FORGED", "X-Request-Id: FORGED\"", "CONTENT_LENGTH: 4 FORGED", "Content_Type: ODD", "wsgi.url_scheme: ODD",
        "X-Auth-Request-User : FORGED", "Keep-Alive: timeout=FORGED", "Proxy-Connection: FORGED", "TE: trailers, FORGED",
        "Trailer: FORGED", "Proxy-Authorization: FORGED", "Connection: X-Auth-Request-User\r\nX-Auth-Request-User: FORGED",
        "Connection: X-Named\r\nX-Named: FORGED", "Connection: close, x-named\r\nX-NAMED: FORGED", "http2-settings: FORGED\r\nConnection: http2-settings",
    )  # fmt: skip
    whole = {
        "x-empty": "", "x-quoted": '"a, b"', "x-long": "a" * 8000, "x-colons": "a:b::c", "x-inner": "a  b c",
        "x-latin": "caf\xe9", "x-utf": "k\xc3\xa4se", "x-equal": "=?utf-8?q?a?=", "x-json": '{"a": [1]}', "x-percent": "%0d%0aX: y",
        "accept": "text/*;q=0.3", "user-agent": "kube-probe/1.30", "range": "bytes=0-1", "cookie": "a=b; c=d",
        "origin": "http://other.test", "if-match": '"a"', "via": "1.0 a", "x-http-method-override": "DELETE",
        "cache-control": "no-cache", "x-1": "digits", "1": "a digit alone",
    }  # fmt: skip
    odd = "!#$%&'*+.^_`|~"
    return (
        {line.split("\r")[0]: Row(ask("/public/a", line), (400,) if " :" in line else (200,)) for line in forged}
        | {f"{line.split(chr(13))[0]}, a user": Row(ask("/any/a", USER, line)) for line in forged if " :" not in line}
        | {f"header {name}": Row(ask("/public/a", f"{name}: {text}"), headers=((name, text),)) for name, text in whole.items()}
        | {f"a name with {each}": Row(ask("/public/a", f"X{each}Y: ODD")) for each in odd}
        | {
            "a name with a space": Row(ask("/public/a", "X Y: a"), (400,)),
            "a name with a bracket": Row(ask("/public/a", "X(Y): a"), (400,)),
            "a name with a slash": Row(ask("/public/a", "X/Y: a"), (400,)),
            "a name not in ASCII": Row(ask("/public/a", "X\xe4Y: a"), (400,)),
            "no name": Row(ask("/public/a", ": a"), (400,)),
            "no colon": Row(ask("/public/a", "X-A"), (400,)),
            "a name in capitals": Row(ask("/public/a", "X-CAPITALS: a"), headers=(("x-capitals", "a"),)),
            "a header three times": Row(ask("/public/a", "X-A: 1", "X-B: 2", "x-a: 3", "X-A: 4"), headers=(("x-a", "1,3,4"),)),
            "spaces around a value": Row(ask("/public/a", "X-A: \t a \t "), headers=(("x-a", "a"),)),
            "no space before a value": Row(ask("/public/a", "X-A:a"), headers=(("x-a", "a"),)),
            "a hundred headers": Row(ask("/public/a", *(f"X-{each}: a" for each in range(60)))),
            "a folded value": Row(ask("/public/a", "X-A: a", " b"), (400,)),
            "a folded first line": Row(b"GET /public/a HTTP/1.1\r\n X: y\r\nHost: api.test\r\n\r\n", (400,)),
            "a bare CR in a value": Row(ask("/public/a", "X-A: a\rX-Remote-User: FORGED"), (400,)),
            "a bare LF in a value": Row(ask("/public/a", "X-A: a\nX-Remote-User: FORGED"), (400,)),
            "NUL in a value": Row(ask("/public/a", "X-A: a\0b"), (400,)),
            "an escape in a value": Row(ask("/public/a", "X-A: \x1b[2J"), (400,)),
            "DEL in a value": Row(ask("/public/a", "X-A: a\x7fb"), (400,)),
            "bare LFs": Row(b"GET /public/a HTTP/1.1\nHost: api.test\n\n", (400,)),
            "a bare LF ends the head": Row(b"GET /public/a HTTP/1.1\r\nHost: api.test\r\n\n" + SMUGGLED, (400,)),
            "Connection names Host": Row(ask("/public/a", "Connection: host, X-Forwarded-For"), headers=(("host", "api.test"),)),
            "Connection names Authorization": Row(ask("/any/a", USER, "Connection: Authorization")),
            "Connection names Content-Length": Row(
                post("Connection: Content-Length", "Content-Length: 3", body=b"abc"), body=b"abc"
            ),
            "Connection names Cookie": Row(ask("/public/a", "Connection: cookie", "Cookie: a=FORGED")),
        }
    )  # fmt: skip


def _framing() -> dict[str, Row]:
    abc = b"3\r\nabc\r\n0\r\n\r\n"
    bad_lengths = (
        "+3",
        "-1",
        "0x3",
        "3,3",
        "3 3",
        "3.0",
        "1_0",
        "",
        '"3"',
        "99999999999999999999",
        "\x0b3",
        "3;a",
    )
    bad_codings = (
        "identity", "xchunked", "chunked, chunked", "gzip, chunked", "chunked, gzip", '"chunked"', "\x0bchunked",
        "chunked;a=b", "", "chunked\x00", "chun\tked",
    )  # fmt: skip
    bad_sizes = (
        b"0x3", b"+3", b"-3", b" 3", b"3 ", b"3;", b"g", b"", b"3\n", b"3_0", b"fffffffffffffffff", b"3;a\n",
    )  # fmt: skip
    return (
        {
            f"Content-Length {each!a}": Row(post(f"Content-Length: {each}", body=b"abc" + SMUGGLED), (400,))
            for each in bad_lengths
        }
        | {
            f"Transfer-Encoding {each!a}": Row(post(f"Transfer-Encoding: {each}", body=LAST + SMUGGLED), (400,))
            for each in bad_codings
        }
        | {
            f"a chunk of {each.decode()!a}": Row(post(CHUNKED, body=each + b"\r\nabc\r\n" + LAST + SMUGGLED), (400,))
            for each in bad_sizes
        }
        | {
            "both framings": Row(post("Content-Length: 5", CHUNKED, body=LAST + SMUGGLED), (400,)),
            "both, the other way": Row(post(CHUNKED, "Content-Length: 5", body=LAST + SMUGGLED), (400,)),
            "a length in an odd name": Row(
                post(CHUNKED, "Content_Length: 5", body=abc + SMUGGLED), (200, 401), body=b"abc"
            ),
            "a coding in an odd name": Row(
                post("Content-Length: 3", "Transfer_Encoding: chunked", body=b"abc" + SMUGGLED), (200, 401), body=b"abc"
            ),
            "a coding beside a space": Row(post("Transfer-Encoding : chunked", body=abc + SMUGGLED), (400,)),
            "a folded coding": Row(post("Transfer-Encoding:", " chunked", body=abc + SMUGGLED), (400,)),
            "two lengths": Row(post("Content-Length: 3", "Content-Length: 0", body=b"abc" + SMUGGLED), (400,)),
            "two equal lengths": Row(post("Content-Length: 3", "Content-Length: 3", body=b"abc" + SMUGGLED), (400,)),
            "two codings": Row(post(CHUNKED, CHUNKED, body=abc + SMUGGLED), (400,)),
            "a length of zeros": Row(post("Content-Length: 0003", body=b"abc" + SMUGGLED), (200, 401), body=b"abc"),
            "a coding in capitals": Row(post("Transfer-Encoding: CHUNKED", body=abc + SMUGGLED), (200, 401), body=b"abc"),
            "a length": Row(post("Content-Length: 3", body=b"abc" + SMUGGLED), (200, 401), body=b"abc"),
            "no length": Row(post(body=SMUGGLED), (200, 401)),
            "an empty body in chunks": Row(post(CHUNKED, body=LAST + SMUGGLED), (200, 401)),
            "chunks": Row(post(CHUNKED, body=b"1\r\na\r\n2\r\nbc\r\n" + LAST + SMUGGLED), (200, 401), body=b"abc"),
            "a size in capitals": Row(post(CHUNKED, body=b"A\r\n0123456789\r\n" + LAST + SMUGGLED), (200, 401), body=b"0123456789"),
            "a size of many zeros": Row(post(CHUNKED, body=b"0" * 19 + b"3\r\nabc\r\n" + LAST + SMUGGLED), (200, 401), body=b"abc"),
            "an extension": Row(post(CHUNKED, body=b"3;a=b;c\r\nabc\r\n" + LAST + SMUGGLED), (200, 401), body=b"abc"),
            "an extension in quotes": Row(post(CHUNKED, body=b'3;a="b"\r\nabc\r\n' + LAST + SMUGGLED), (200, 401), body=b"abc"),
            "a trailer": Row(post(CHUNKED, body=b"3\r\nabc\r\n0\r\nX-A: FORGED\r\n\r\n" + SMUGGLED), (200, 401), body=b"abc"),
            "a trailer of ours": Row(
                post(CHUNKED, body=b"3\r\nabc\r\n0\r\nX-Auth-Request-User: FORGED\r\n\r\n" + SMUGGLED), (200, 401), body=b"abc"
            ),
            "a trailer of a length": Row(
                post(CHUNKED, body=b"3\r\nabc\r\n0\r\nContent-Length: 60\r\n\r\n" + SMUGGLED), (400,)
            ),
            "a body with a request": Row(
                post(f"Content-Length: {len(SMUGGLED)}", body=SMUGGLED), body=SMUGGLED
            ),
            "chunks with a request": Row(
                post(CHUNKED, body=b"%x\r\n%b\r\n" % (len(SMUGGLED), SMUGGLED) + LAST), body=SMUGGLED
            ),
            "GET with a request in its body": Row(
                ask("/public/a", f"Content-Length: {len(SMUGGLED)}", body=SMUGGLED), body=SMUGGLED
            ),
            "GET in chunks": Row(ask("/public/a", CHUNKED, body=abc + SMUGGLED), (200, 401), body=b"abc"),
            "a refused body with a request": Row(
                post(f"Content-Length: {len(SMUGGLED)}", body=SMUGGLED, target="/denied/x"), (401,)
            ),
            "a chunk that is too long": Row(post(CHUNKED, body=b"2\r\nabc\r\n" + LAST + SMUGGLED), (400,)),
            "a chunk that ends with LF": Row(post(CHUNKED, body=b"3\r\nabc\n" + LAST + SMUGGLED), (400,)),
            "binary": Row(post("Content-Length: 4", body=b"\x00\r\n\xff"), body=b"\x00\r\n\xff"),
            "64 KiB": Row(post(f"Content-Length: {2**16}", body=b"a" * 2**16), body=b"a" * 2**16),
            "64 KiB in chunks": Row(post(CHUNKED, body=b"10000\r\n%b\r\n" % (b"a" * 2**16) + LAST), body=b"a" * 2**16),
            "Expect": Row(post("Expect: 100-continue", "Content-Length: 3", body=b"abc"), body=b"abc"),
            "Expect, chunked": Row(post("Expect: 100-Continue", CHUNKED, body=abc), body=b"abc"),
            "Expect without a body": Row(ask("/public/a", "Expect: 100-continue")),
            "Expect something else": Row(post("Expect: FORGED", "Content-Length: 3", body=b"abc"), body=b"abc"),
            "Expect, refused": Row(
                post("Expect: 100-continue", f"Content-Length: {len(SMUGGLED)}", target="/denied/x", body=SMUGGLED), (401,)
            ),
            "a form": Row(
                post("Content-Type: application/x-www-form-urlencoded", "Content-Length: 11", body=b"_method=PUT"), body=b"_method=PUT"
            ),
            "a coding of the content": Row(
                post("Content-Encoding: gzip", "Content-Length: 3", body=b"abc"), body=b"abc", headers=(("content-encoding", "gzip"),)
            ),
            "two requests": Row(ask() + SMUGGLED, (200, 401)),
            "three requests": Row(ask() + ask("/any/a", USER) + SMUGGLED, (200, 200, 401)),
            "a user, then nobody": Row(ask("/maybe/a", USER) + ask("/maybe/b"), (200, 200)),
            "a user, then an admin": Row(ask("/any/a", USER) + ask("/restricted/a", ADMIN) + ask("/restricted/b", USER), (200, 200, 403)),
            "close, then a request": Row(ask("/public/a", "Connection: close") + SMUGGLED, (200,)),
            "h2c": Row(
                ask("/public/a", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
                + SMUGGLED,
                (200, 401),
            ),
            "an upgrade to TLS": Row(ask("/public/a", "Connection: Upgrade", "Upgrade: TLS/1.2, HTTP/1.1") + SMUGGLED, (200, 401)),
            "an upgrade without Connection": Row(ask("/public/a", "Upgrade: websocket") + SMUGGLED, (200, 401)),
            "a POST that asks for a WebSocket": Row(
                post("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 3", body=b"abc" + SMUGGLED), body=b"abc", fin=False
            ),
        }
    )  # fmt: skip


ROWS = {**_paths(), **_targets(), **_methods(), **_headers(), **_framing()}
