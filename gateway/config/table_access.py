"""The schema's part about access: whose tokens, which routes, what the upstream is told, how one signs in."""

from __future__ import annotations

from gateway.config import shapes as s
from gateway.config.shapes import Key, ListOf, MapOf, Section, section

_USER_POOL = Section(
    (
        Key(
            "id",
            s.POOL_ID,
            None,
            "The user pool; its region stands before the underscore.",
            required=True,
            example="ap-south-1_AbCdEfGhI",
        ),
        Key(
            "client_ids",
            ListOf(s.CLIENT_ID, least=1),
            None,
            "The app clients whose tokens are accepted; another client's token is refused. The first one is "
            "who people sign in with.",
            required=True,
            example="[1example23456789]",
        ),
        Key(
            "client_secret_file",
            s.FILE,
            None,
            "The secret of the first app client, where it has one.",
            nullable=True,
        ),
        Key(
            "token_use",
            ListOf(s.choice("access", "id"), least=1),
            ("access",),
            "Which tokens open the API: access, id or both. ID tokens are meant for clients, not for APIs.",
        ),
        Key(
            "issuers",
            ListOf(s.ISSUER, least=1),
            None,
            "The exact iss values. null: AWS's two, https://cognito-idp.REGION.amazonaws.com/ID "
            "and https://issuer-cognito-idp.REGION.amazonaws.com/ID; with cognito.endpoint_url set, only "
            "ENDPOINT_URL/ID.",
            nullable=True,
        ),
        Key(
            "jwks_url",
            s.TRUSTED_URL,
            None,
            "Where the pool's keys are. null: the first issuer + /.well-known/jwks.json.",
            nullable=True,
        ),
        Key(
            "jwks_file",
            s.FILE,
            None,
            "Pinned keys instead of jwks_url, for places with no way out.",
            nullable=True,
        ),
        Key(
            "identity_pool_id",
            s.IDENTITY_POOL_ID,
            None,
            "The identity pool that exchanges ID tokens for AWS credentials.",
            nullable=True,
            example="ap-south-1:00000000-0000-0000-0000-000000000000",
        ),
        Key(
            "domain",
            s.TRUSTED_URL,
            None,
            "The address of managed login. null: our own sign-in pages.",
            nullable=True,
        ),
    )
)

COGNITO = section(
    "cognito",
    "Who signs the tokens.",
    Key(
        "endpoint_url",
        s.TRUSTED_URL,
        None,
        "The Cognito API. null: AWS's for the region. Set it for a local Cognito, which also issues its "
        "tokens under this name.",
        nullable=True,
        example="http://127.0.0.1:9229",
    ),
    Key(
        "proxy",
        s.PROXY,
        "environment",
        "The way out to AWS: environment takes HTTPS_PROXY and NO_PROXY; none, or an HTTP proxy that knows "
        "CONNECT. Never used for the upstream.",
        example="http://proxy.internal:3128",
    ),
    Key(
        "ca_file",
        s.FILE,
        None,
        "Roots for calls to AWS. null: AWS_CA_BUNDLE, then SSL_CERT_FILE, then the system's.",
        nullable=True,
    ),
    Key(
        "user_pools",
        ListOf(_USER_POOL),
        (),
        "The pools whose tokens are accepted. Empty: not configured yet; what needs a token is answered 503.",
    ),
    Key(
        "clock_leeway",
        s.duration("0s", "5m"),
        "0s",
        "How long after its end a token is still accepted, for clocks that differ. 0: exact.",
    ),
    Key(
        "token_cache_size",
        s.size("1MiB", "64GiB"),
        "160MiB",
        "Memory that verified tokens may take in each worker, about 1.6 KB each; the default holds 100,000. "
        "Only tokens in use take any. A token that is not remembered costs a signature check per request.",
    ),
    Key(
        "max_token_size",
        s.size("4KiB", "64KiB"),
        "16KiB",
        "The largest token that is looked at. A user in hundreds of groups has one of 18 KiB, which must fit "
        "into listen.max_header_size too.",
    ),
    section(
        "revocation",
        "Tokens outlive a sign-out unless Cognito is asked.",
        Key(
            "check_every",
            s.duration("1s", "24h"),
            None,
            "Users who were signed out or disabled lose access within this. null: when their token ends.",
            nullable=True,
            example="30s",
        ),
        Key(
            "first_use",
            s.choice("allow", "check"),
            "allow",
            "A token not seen lately: allow lets it in and asks at once; check asks first, and it waits.",
        ),
        Key(
            "on_error",
            s.choice("allow", "deny"),
            "allow",
            "When Cognito cannot be asked: allow goes on; deny answers 503 where a check became too old.",
        ),
        Key(
            "calls_per_second",
            s.CALLS,
            "30",
            "Calls to Cognito at most, of all workers and replicas. A quarter of AWS's quota (UserRead, 120 "
            "a second for an account in a region).",
        ),
        Key(
            "replicas",
            s.integer(1, 10_000),
            "1",
            "How many gateways share calls_per_second; not needed with redis_url.",
        ),
        Key(
            "redis_url",
            s.REDIS,
            None,
            "Set it so that replicas ask once for all of them.",
            nullable=True,
        ),
        Key(
            "redis_password_file",
            s.FILE,
            None,
            "That Redis's password, where it is not in redis_url; read for every new connection.",
            nullable=True,
        ),
    ),
)

_ROUTE = Section(
    (
        Key(
            "path",
            s.ROUTE_PATH,
            None,
            "Literal, * for one segment, ** for any depth (/a/** also matches /a). Case matters.",
            required=True,
            example="/api/v1/status",
        ),
        Key(
            "methods",
            ListOf(s.METHOD, least=1),
            None,
            "The methods this route is for; GET includes HEAD. null: all.",
            nullable=True,
            example="[GET]",
        ),
        Key(
            "auth",
            s.choice("none", "optional", "required"),
            "required",
            "none: credentials are not looked at. optional: a valid token is used, none is fine. required: a "
            "valid token, or 401. With optional, what else the route asks is asked of those with a token.",
            example="optional",
        ),
        Key(
            "groups", ListOf(s.GROUP), (), "The principal must be in any of these groups.", example="[admins]"
        ),
        Key("scopes", ListOf(s.SCOPE), (), "The token must have all of these scopes.", example="[api/read]"),
        Key(
            "claims",
            MapOf(s.CLAIM_NAME, ListOf(s.CLAIM_VALUE, least=1, single=True)),
            (),
            "The token must have all of these claims; a list means any of its values.",
            example="{custom:tenant: acme}",
        ),
        Key(
            "pool",
            s.POOL_ID,
            None,
            "Only tokens of this user pool are meant. null: of any that is configured.",
            nullable=True,
            example="ap-south-1_AbCdEfGhI",
        ),
    )
)

ROUTES = Key(
    "routes",
    ListOf(_ROUTE),
    (),
    "What is open, and to whom. The first match wins; what no route matches needs a valid token.",
)

IDENTITY_HEADERS = section(
    "identity_headers",
    "What the upstream is told about the principal. Every copy a client sends, however spelled, is removed. "
    "null: this one is not sent.",
    Key("user", s.IDENTITY_HEADER, "X-Auth-Request-User", "The claim sub: it never changes.", nullable=True),
    Key(
        "username",
        s.IDENTITY_HEADER,
        "X-Auth-Request-Preferred-Username",
        "The user's name in the pool.",
        nullable=True,
    ),
    Key(
        "email",
        s.IDENTITY_HEADER,
        "X-Auth-Request-Email",
        "From ID tokens; access tokens have none.",
        nullable=True,
    ),
    Key(
        "groups",
        s.IDENTITY_HEADER,
        "X-Auth-Request-Groups",
        "The user's groups, joined by a comma.",
        nullable=True,
    ),
    Key(
        "pool",
        s.IDENTITY_HEADER,
        None,
        "The user pool's ID: users of two pools may have the same name.",
        nullable=True,
        example="X-Auth-Request-Pool",
    ),
    Key(
        "claims",
        MapOf(s.IDENTITY_HEADER, s.CLAIM_NAME),
        (),
        "More claims to send, as {header name: claim name}.",
        example="{X-Auth-Request-Tenant: custom:tenant}",
    ),
    Key(
        "unverified",
        s.choice("omit", "send"),
        "omit",
        "What the user wrote and Cognito has not verified (email, phone_number). omit: no header and no "
        "assertion has it, and it fits no claim rule.",
    ),
    Key(
        "assertion",
        Section(
            (
                Key("header", s.IDENTITY_HEADER, "X-Gateway-Jwt-Assertion", "The header that carries it."),
                Key(
                    "key_file",
                    s.FILE,
                    None,
                    "Private keys, PEM: EC P-256 (ES256, cheap to sign with) or RSA (RS256). The first one "
                    "signs, all are published. The file is watched.",
                    required=True,
                    example="/etc/keys/assertion.key",
                ),
                Key(
                    "audience",
                    s.AUDIENCE,
                    None,
                    "The aud of assertions, which the upstream expects. null: the URL of the upstream.",
                    nullable=True,
                ),
                Key(
                    "lifetime",
                    s.duration("10s", "1h"),
                    "2m",
                    "How long one is valid, though never longer than the token it was made from.",
                ),
            )
        ),
        None,
        "The principal once more, as a JWT that we sign, for an upstream that does not trust the network. "
        "Its keys are at sign_in.prefix + /jwks.json. null: none is sent.",
        nullable=True,
    ),
)

SIGN_IN = section(
    "sign_in",
    "Our own pages, for browsers.",
    Key("enabled", s.BOOLEAN, "true", "false: no pages; browsers get 401 as API clients do."),
    Key(
        "prefix",
        s.PREFIX,
        "/oauth2",
        "The paths under it are ours and are never proxied, whether the pages are on or off.",
    ),
    Key(
        "auth_flow",
        s.choice("USER_PASSWORD_AUTH", "USER_SRP_AUTH", "USER_AUTH"),
        "USER_PASSWORD_AUTH",
        "How passwords are checked; the app client must allow it.",
    ),
    Key("sign_up", s.choice("auto", "never"), "auto", "auto: as the pool allows. never: the page is hidden."),
    Key(
        "sign_up_attributes",
        ListOf(s.ATTRIBUTE),
        (),
        "Attributes the sign-up form asks for beyond those the pool requires; it never takes any other.",
        example="[given_name, 'custom:company']",
    ),
    Key(
        "show_tokens",
        s.BOOLEAN,
        "true",
        "Whether our pages show the access token and AWS credentials to whom they belong.",
    ),
    section(
        "session",
        "What a signed-in browser holds.",
        Key(
            "store",
            s.choice("cookie", "memory", "redis"),
            "cookie",
            "cookie: sealed, nothing is kept here. memory: gone at restart. redis: shared between replicas.",
        ),
        Key(
            "redis_url",
            s.REDIS,
            None,
            "Where sessions are kept with store: redis. With store: cookie, sign-outs are shared through it.",
            nullable=True,
        ),
        Key(
            "redis_password_file",
            s.FILE,
            None,
            "That Redis's password, where it is not in redis_url; read for every new connection.",
            nullable=True,
        ),
        Key(
            "secret_file",
            s.FILE,
            None,
            "Keys that seal cookies, one a line, newest first. null: made at start; sessions end with it.",
            nullable=True,
        ),
        Key(
            "cookie_name",
            s.COOKIE_NAME,
            "cognito_gateway",
            "What every cookie of ours begins with; another one for a second gateway on the same host name.",
        ),
        Key("max_age", s.duration("1m", "87600h"), "12h", "A working day; then one signs in again."),
    ),
    Key(
        "state_dir",
        s.FOLDER,
        None,
        "Where the set-up page stores its answer. null: the page shows the YAML and writes nothing.",
        nullable=True,
    ),
    Key(
        "admin_groups",
        ListOf(s.GROUP),
        (),
        "Users in any of these groups may change on the set-up page what it has stored. Empty: nobody.",
        example="[admins]",
    ),
)
