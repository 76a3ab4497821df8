"""Configurations with one mistake each, and the messages about it."""

# ruff: noqa: E501 - messages are on one line, as shown to users

from __future__ import annotations

from tests.support.config_files import POOL

WRONG: dict[str, tuple[str, list[str]]] = {
    # sessions
    "sessions in a Redis that is nowhere": (
        "sign_in:\n  session:\n    store: redis\n",
        ["F:3: sign_in.session.store: redis needs sign_in.session.redis_url"],
    ),
    "sessions in the memory of several processes": (
        "listen:\n  workers: 2\nsign_in:\n  session:\n    store: memory\n",
        [
            "F:5: sign_in.session.store: memory belongs to one process, but listen.workers is not 1: use cookie or redis"
        ],
    ),
    "a pool where Cognito has none": (
        "cognito:\n  user_pools:\n    - id: cn-north-1_AbCdEfGhI\n      client_ids: [1abcdefghi]\n",
        [
            "F:3: cognito.user_pools[0].id: Amazon Cognito has no user pools in the Regions of China: use a pool in another Region"
        ],
    ),
    # an upstream that is AWS
    "signed on the open network": (
        "upstream:\n  url: http://api.internal\n  forward_token: true\n  sigv4: {service: execute-api, region: eu-west-1}\n",
        [
            "F:2: upstream.url: sigv4 needs https (or http on loopback): signed requests must not be sent in the clear",
            "F:3: upstream.forward_token: cannot be true with sigv4: the signature uses the Authorization header",
        ],
    ),
    "signed through a socket": (
        "upstream:\n  url: unix:/run/api\n  sigv4: {service: Execute API}\n",
        [
            "F:2: upstream.url: sigv4 needs https (or http on loopback): signed requests must not be sent in the clear",
            "F:3: upstream.sigv4.service: 'Execute API' is not a name such as execute-api or ap-south-1",
            "F:3: upstream.sigv4.region: missing: this key is required",
        ],
    ),
    "signed with credentials of nowhere": (
        "upstream:\n  sigv4: {service: execute-api, region: eu-west-1}\n" + POOL,
        ["F:2: upstream.sigv4: no user pool has an identity_pool_id, the source of AWS credentials"],
    ),
    "signed for the users of one pool only": (
        "upstream:\n  sigv4: {service: execute-api, region: eu-west-1}\n"
        + POOL
        + "    - {id: eu-west-1_Other1234, client_ids: [1xabcdefgh], identity_pool_id: 'eu-west-1:0a'}\n",
        [
            "F:5: warning: cognito.user_pools[0]: no identity_pool_id: with upstream.sigv4 this pool's users are refused (credentials_refused)"
        ],
    ),
    # spelling of YAML
    "tab in the indentation": (
        "listen:\n\taddress: :8000\n\tworkers: 0\n",
        [
            "F:2: indented with a tab: YAML allows spaces only",
            "F:3: indented with a tab: YAML allows spaces only",
            "F:3: listen.workers: '0' is neither auto nor a whole number from 1 to 256",
        ],
    ),
    "tab before a value": (
        "log:\n  level:\tinfo\n  format: x\n",
        [
            "F:2: indented with a tab: YAML allows spaces only",
            "F:3: log.format: 'x' is not one of json, text, auto",
        ],
    ),
    "duplicate keys, both checked": (
        "log:\n  level: info\n  level: loud\nlog:\n  colour: red\n",
        [
            "F:3: log.level: duplicate key, first on line 2",
            "F:3: log.level: 'loud' is not one of debug, info, warning, error",
            "F:4: log: duplicate key, first on line 1",
            "F:5: log.colour: unknown key: known here: format, level, access, sample",
        ],
    ),
    "syntax error, what stands before it is still checked": (
        "log:\n  level: loud\nlisten: [\n",
        [
            "F:2: log.level: 'loud' is not one of debug, info, warning, error",
            "F:3: listen: expected a section of `key: value` lines, not a list",
            "F:4: not valid YAML: expected the node content, but found '<stream end>'",
        ],
    ),
    "what a syntax error may have cut off is not missed": (
        "listen:\n  address: :9090\nroutes:\n  - auth: none\n\n    methods: [GET\n",
        ["F:7: not valid YAML: expected ',' or ']', but got '<stream end>'"],
    ),
    "a colon too many": ("log: a: b\n", ["F:1: not valid YAML: mapping values are not allowed here"]),
    "two documents": (
        "log:\n  level: info\n---\nlog:\n  level: loud\n",
        ["F:3: a second document begins here: a configuration is one document"],
    ),
    "tag": (
        "log: !!map\n  access: !!bool true\n",
        [
            "F:1: the tag tag:yaml.org,2002:map has no meaning here: remove it",
            "F:2: the tag tag:yaml.org,2002:bool has no meaning here: remove it",
        ],
    ),
    "complex key": ("? [a]\n: b\n", ["F:1: a list or a mapping cannot be a key: a key is one word"]),
    "merge key": (
        "log: &log\n  level: info\nmetrics:\n  <<: *log\n",
        ["F:4: metrics.<<: merge keys are not supported: write the keys out"],
    ),
    "alias to nothing": (
        "log: *log\n",
        ["F:1: the alias *log refers to no complete anchor above it"],
    ),
    "alias to itself": (
        "routes: &r\n  - *r\n",
        ["F:2: the alias *r refers to no complete anchor above it"],
    ),
    "control character": (
        "log:\n  level: \x07\n",
        ["F:2: not valid YAML: the character U+0007 is not allowed"],
    ),
    "not a mapping": (
        "- a\n",
        ["F:1: expected a section of `key: value` lines, not a list"],
    ),
    "one word": ("hello\n", ["F:1: expected a section of `key: value` lines, not a single value"]),
    "bare reference in brackets": (
        "routes:\n  - path: /a\n    methods: [${M}, x]\n",
        [
            'F:3: inside [ ] and { } a reference must be quoted: "${NAME}"',
            "F:3: routes[0].methods[0]: the environment variable M is not set: "
            "set it, or write ${M:-default}",
            "F:3: routes[0].methods[1]: 'x' is not a method: write it in upper case, X",
        ],
    ),
    # unknown and missing keys
    "unknown keys, the nearest is named": (
        "lisen:\n  address: :1\nlisten:\n  adress: :1\n  max-body-size: 1\n  Workers: 1\n",
        [
            "F:1: lisen: unknown key: did you mean listen?",
            "F:4: listen.adress: unknown key: did you mean address?",
            "F:5: listen.max-body-size: unknown key: did you mean max_body_size?",
            "F:6: listen.Workers: unknown key: did you mean workers?",
        ],
    ),
    "unknown here, known elsewhere": (
        "user_pools: []\nupstream:\n  workers: 1\n",
        [
            "F:1: user_pools: unknown key: did you mean cognito.user_pools?",
            "F:3: upstream.workers: unknown key: did you mean listen.workers?",
        ],
    ),
    "unknown in a list item": (
        "routes:\n  - path: /a\n    method: [GET]\n",
        ["F:3: routes[0].method: unknown key: did you mean methods?"],
    ),
    "missing keys stand on their item's first line": (
        "cognito:\n  user_pools:\n    - token_use: [id]\n\n      domain: null\n    - {}\nroutes:\n  - auth: none\n",
        [
            "F:3: cognito.user_pools[0].id: missing: this key is required",
            "F:3: cognito.user_pools[0].client_ids: missing: this key is required",
            "F:6: cognito.user_pools[1].id: missing: this key is required",
            "F:6: cognito.user_pools[1].client_ids: missing: this key is required",
            "F:8: routes[0].path: missing: this key is required",
        ],
    ),
    "missing in a section": (
        "cors:\n  max_age: 1m\n",
        [
            "F:1: cors.allow_origins: missing: this key is required",
        ],
    ),
    # types
    "what YAML 1.1 would turn into something else": (
        "sign_in:\n  enabled: off\nlisten:\n  workers: 0755\n  idle_timeout: 1:30\n  max_body_size: 1_000\n"
        "log:\n  access: yes\nrate_limit:\n  burst: 0x10\n",
        [
            "F:2: sign_in.enabled: 'off' is not true or false",
            "F:4: listen.workers: '0755' is neither auto nor a whole number from 1 to 256",
            "F:5: listen.idle_timeout: '1:30' is not a duration such as 500ms, 2s, 5m or 12h",
            "F:6: listen.max_body_size: '1_000' is not a size such as 65536, 64KiB, 1MiB or 1GiB",
            "F:8: log.access: 'yes' is not true or false",
            "F:10: rate_limit.burst: '0x10' is not a whole number",
        ],
    ),
    "the wrong shape": (
        "listen: 8000\nroutes:\n  path: /a\ncognito:\n  user_pools:\n    - ap-south-1_AbC\nlog:\n  level: [info]\n",
        [
            "F:1: listen: expected a section of `key: value` lines, not a single value",
            "F:3: routes: expected a list, not a section",
            "F:6: cognito.user_pools[0]: expected a section of `key: value` lines, not a single value",
            "F:8: log.level: expected a single value, not a list",
        ],
    ),
    "one value in place of a list": (
        "routes:\n  - path: /a\n    methods: GET\n",
        ["F:3: routes[0].methods: expected a list, not a single value: write [GET]"],
    ),
    "empty where something must stand": (
        "listen:\n  address:\ncognito:\n  user_pools:\n    - id: ''\n      client_ids:\n    -\n"
        "routes:\n  - path: /a\n    methods: []\n  - path:\n    auth: ~\n",
        [
            "F:2: listen.address: must not be empty: remove the line for the default",
            "F:5: cognito.user_pools[0].id: '' is not a user pool ID such as ap-south-1_AbCdEfGhI",
            "F:6: cognito.user_pools[0].client_ids: must not be empty",
            "F:7: cognito.user_pools[1]: this list item is empty",
            "F:10: routes[0].methods: the list must not be empty",
            "F:11: routes[1].path: must not be empty",
            "F:12: routes[1].auth: must not be empty: remove the line for the default",
        ],
    ),
    "twice in one list": (
        "routes:\n  - path: /a\n    methods: [GET, PUT, GET]\n",
        ["F:3: routes[0].methods[2]: duplicate in this list"],
    ),
    "out of bounds": (
        "listen:\n  max_header_size: 100\n  header_timeout: 0s\nupstream:\n  max_connections: 0\n",
        [
            "F:2: listen.max_header_size: '100' is outside 1KiB to 1MiB",
            "F:3: listen.header_timeout: '0s' is outside 1ms to 1h",
            "F:5: upstream.max_connections: '0' is outside 1 to 65535",
        ],
    ),
    # single values
    "listen": (
        "listen:\n  address: '8000'\n  public_url: https://a/b\n  trusted_proxies: [10.0.0.1/8, x]\n",
        [
            "F:2: listen.address: '8000' has no port: write host:port, :port or unix:/path",
            "F:3: listen.public_url: 'https://a/b' must have no path: scheme, host and port only",
            "F:4: listen.trusted_proxies[0]: '10.0.0.1/8' has host bits set: write 10.0.0.0/8",
            "F:4: listen.trusted_proxies[1]: 'x' is not a network such as 10.0.0.0/8 or ::1/128",
        ],
    ),
    "pools": (
        "cognito:\n  endpoint_url: http://cognito:9229\n  user_pools:\n    - id: AbCdEf\n      client_ids: [a b]\n"
        "      token_use: [refresh]\n      jwks_url: http://example.com/jwks\n    - id: eu-west-1_"
        + "a" * 46
        + "\n      client_ids: [1abcdefghi]\n      token_use: []\n",
        [
            "F:2: cognito.endpoint_url: 'http://cognito:9229' must be https, or http on a loopback address",
            "F:4: cognito.user_pools[0].id: 'AbCdEf' is not a user pool ID such as ap-south-1_AbCdEfGhI",
            "F:5: cognito.user_pools[0].client_ids[0]: 'a b' is not an app client ID such as 1example23456789",
            "F:6: cognito.user_pools[0].token_use[0]: 'refresh' is not one of access, id",
            "F:7: cognito.user_pools[0].jwks_url: 'http://example.com/jwks' must be https, "
            "or http on a loopback address",
            f"F:8: cognito.user_pools[1].id: 'eu-west-1_{'a' * 46}' is not a user pool ID such as "
            "ap-south-1_AbCdEfGhI",
            "F:10: cognito.user_pools[1].token_use: the list must not be empty",
        ],
    ),
    "route paths": (
        "routes:\n"
        + "".join(
            f"  - path: '{path}'\n"
            for path in ("a", "/a?b", "/a#b", "/a%20b", "/a/../b", "/a/./b", "/a*", "/***", "/a//b", "/a\\b")
        ),
        [
            "F:2: routes[0].path: 'a' must begin with /",
            "F:3: routes[1].path: '/a?b' must have no ? and no #: a route matches the path only",
            "F:4: routes[2].path: '/a#b' must have no ? and no #: a route matches the path only",
            "F:5: routes[3].path: '/a%20b' must not be percent-encoded: write the character itself",
            "F:6: routes[4].path: '/a/../b' must have no . or .. segment: such requests are refused",
            "F:7: routes[5].path: '/a/./b' must have no . or .. segment: such requests are refused",
            "F:8: routes[6].path: '/a*' has * inside a segment: * and ** stand for whole segments",
            "F:9: routes[7].path: '/***' has * inside a segment: * and ** stand for whole segments",
            "F:10: routes[8].path: '/a//b' has an empty segment (//)",
            "F:11: routes[9].path: '/a\\\\b' contains a character that no path may have",
        ],
    ),
    "characters that no path and no ID may have": (
        'routes:\n  - path: "/a\\a"\nsign_in:\n  prefix: /a/..\ncognito:\n  user_pools:\n'
        "    - {id: \u00fc_a, client_ids: [\u00fc]}\n",
        [
            "F:2: routes[0].path: '/a\\x07' contains a character that no path may have",
            "F:4: sign_in.prefix: '/a/..' may only contain letters, digits and - . _ ~ between single slashes",
            "F:7: cognito.user_pools[0].id: '\u00fc_a' is not a user pool ID such as ap-south-1_AbCdEfGhI",
            "F:7: cognito.user_pools[0].client_ids[0]: '\u00fc' is not an app client ID such as 1example23456789",
        ],
    ),
    "methods": (
        "routes:\n  - path: /a\n    methods: [get, CONNECT, TRACE, 'G T']\n    auth: maybe\n",
        [
            "F:3: routes[0].methods[0]: 'get' is not a method: write it in upper case, GET",
            "F:3: routes[0].methods[1]: CONNECT is refused on every path and cannot be routed",
            "F:3: routes[0].methods[2]: TRACE is refused on every path and cannot be routed",
            "F:3: routes[0].methods[3]: 'G T' is not a method such as GET",
            "F:4: routes[0].auth: 'maybe' is not one of none, optional, required",
        ],
    ),
    "identity headers": (
        "identity_headers:\n  user: X User\n  username: Authorization\n  email: x_forwarded.for\n"
        "  claims: {Cookie: sub, X-A: '', X-B: }\n",
        [
            "F:2: identity_headers.user: 'X User' is not a header name",
            "F:3: identity_headers.username: 'Authorization' cannot carry an identity: HTTP or the gateway "
            "uses this header itself",
            "F:4: identity_headers.email: 'x_forwarded.for' cannot carry an identity: HTTP or the gateway "
            "uses this header itself",
            "F:5: identity_headers.claims.Cookie: 'Cookie' cannot carry an identity: HTTP or the gateway "
            "uses this header itself",
            "F:5: identity_headers.claims.X-A: '' is not a claim name",
            "F:5: identity_headers.claims.X-B: must not be empty",
        ],
    ),
    "looks": (
        "sign_in:\n  appearance:\n    accent: '#FFCC00'\n    accent_dark: '#333333'\n"
        "    terms_url: http://a.example\n    logo_dark_file: /dev/null\n    name: ' '\n",
        [
            "F:3: sign_in.appearance.accent: #FFCC00 has a contrast of 1.3:1 with the background or button "
            "text of light pages, and text needs 4.5:1: choose a darker color, such as #8a6e00",
            "F:4: sign_in.appearance.accent_dark: #333333 has a contrast of 1.3:1 with the background or button "
            "text of dark pages, and text needs 4.5:1: choose a lighter color, such as #959595",
            "F:5: sign_in.appearance.terms_url: 'http://a.example' must begin with https://",
            "F:6: sign_in.appearance.logo_dark_file: needs logo_file, for light pages",
            "F:7: sign_in.appearance.name: ' ' is not 1 to 60 characters on one line",
        ],
    ),
    "looks of another form": (
        "sign_in:\n  appearance: {accent: blue, accent_dark: '#fff', support_url: 'https://a.example/<b>'}\n",
        [
            "F:2: sign_in.appearance.accent: 'blue' is not a color such as #0b6e4f",
            "F:2: sign_in.appearance.accent_dark: '#fff' is not a color such as #0b6e4f",
            "F:2: sign_in.appearance.support_url: 'https://a.example/<b>' must be printable ASCII without "
            "blanks, quotes or angle brackets",
        ],
    ),
    "prefixes": (
        "sign_in:\n  prefix: /\n",
        ["F:2: sign_in.prefix: '/' would reserve every path: choose a prefix such as /oauth2"],
    ),
    "prefix without a slash": (
        "sign_in:\n  prefix: auth\n",
        ["F:2: sign_in.prefix: 'auth' must begin with /"],
    ),
    "prefix with one too many": (
        "sign_in:\n  prefix: /a/\n",
        ["F:2: sign_in.prefix: '/a/' must not end with /"],
    ),
    "prefix with a pattern": (
        "sign_in:\n  prefix: /a/*\nmetrics:\n  path: /readyz\n",
        [
            "F:2: sign_in.prefix: '/a/*' may only contain letters, digits and - . _ ~ between single slashes",
            "F:4: metrics.path: '/readyz' is the path of a probe: choose another, such as /metrics",
        ],
    ),
    # values against each other
    "two pools with one issuer": (
        POOL + "    - id: ap-south-1_TestPool1\n      client_ids: [1bcdefghij]\n"
        "    - id: eu-west-1_Other\n      client_ids: [1bcdefghij]\n"
        "      issuers:\n        - https://issuer-cognito-idp.ap-south-1.amazonaws.com/ap-south-1_TestPool1\n",
        [
            "F:5: cognito.user_pools[1].issuers: cognito.user_pools[0] accepts the same issuer: "
            "a token must belong to exactly one pool",
            "F:9: cognito.user_pools[2].issuers: cognito.user_pools[0] accepts the same issuer: "
            "a token must belong to exactly one pool",
        ],
    ),
    "keys over a plain network, by way of the issuer": (
        POOL + "      issuers: [http://cognito.example/pool]\n",
        [
            "F:5: cognito.user_pools[0].issuers: keys would be fetched from this issuer, and "
            "'http://cognito.example/pool/.well-known/jwks.json' must be https, or http on a loopback address; "
            "or set jwks_url",
        ],
    ),
    "two headers of one name": (
        "identity_headers:\n  user: X-User\n  email: x_user\n  claims: {X.USER: a, X-Auth-Request-Groups: b}\n",
        [
            "F:3: identity_headers.email: identity_headers.user already uses this header "
            "(case, _ and . make no difference)",
            "F:4: identity_headers.claims.X.USER: identity_headers.user already uses this header "
            "(case, _ and . make no difference)",
            "F:4: identity_headers.claims.X-Auth-Request-Groups: identity_headers.groups already uses this header "
            "(case, _ and . make no difference)",
        ],
    ),
    "metrics on the public port": (
        "listen:\n  address: :9090\n",
        [
            "F:2: listen.address: listen.address and metrics.address are the same: metrics are never served on the public port"
        ],
    ),
    "gRPC on another listener's port": (
        "listen:\n  workers: 2\next_authz:\n  grpc_address: localhost:9090\n",
        ["F:4: ext_authz.grpc_address: the same as metrics.address: choose another port"],
    ),
    "gRPC on a unix socket for several workers": (
        "listen:\n  workers: auto\next_authz:\n  grpc_address: unix:/run/authz\n",
        [
            "F:4: ext_authz.grpc_address: several workers cannot share a unix socket here: use host:port, or listen.workers: 1"
        ],
    ),
    "upstream is ourselves": (
        "listen:\n  address: 0.0.0.0:8000\nupstream:\n  url: http://localhost:8000\n",
        ["F:4: upstream.url: upstream.url is listen.address: every request would loop back to the gateway"],
    ),
    "upstream is our own socket": (
        "listen:\n  address: unix:/run/a.sock\nupstream:\n  url: unix:/run/a.sock\n",
        ["F:4: upstream.url: upstream.url is listen.address: every request would loop back to the gateway"],
    ),
    # the environment, in the file
    "references": (
        "upstream:\n  url: http://${HOST}:${PORT:-80}\nlisten:\n  address: ${\n  workers: ${W:-many}\n",
        [
            "F:2: upstream.url: the environment variable HOST is not set: set it, or write ${HOST:-default}",
            "F:4: listen.address: what begins with ${ is not a reference: write ${NAME} or ${NAME:-default}, "
            "or $${ for itself",
            "F:5: listen.workers: 'many' is neither auto nor a whole number from 1 to 256",
        ],
    ),
}
