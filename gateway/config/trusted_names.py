"""The list of request headers that servers behind us trust: paths, user identities, client addresses.

A client that sends one of them can impersonate a user or address another path. http/headers.py removes them
on every path; tests compare the recipes of docs/forward-auth.md and the table of docs/upstream-identity.md
with this list.

Invariant: every name is in lower case with letters, digits and `-` only, as `folded` returns it.
"""

from __future__ import annotations

from typing import NamedTuple

_FOLDED = {byte: "-" for byte in range(256) if not (byte < 128 and chr(byte).isalnum())}


def folded(name: str) -> str:
    """Return the name as the most lenient server compares it: lower case, every other character `-`."""
    return name.lower().translate(_FOLDED)


class Group(NamedTuple):
    """Header names with one kind of meaning.

    A member that ends in `*` stands for every name with that prefix; `known` are those in use, for proxies
    without wildcards.
    """

    title: str
    # Trusted proxies (listen.trusted_proxies) may send them, in their plain spelling.
    from_trusted: bool
    members: tuple[str, ...]
    known: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        return frozenset(member for member in self.members if not member.endswith("*"))

    @property
    def prefixes(self) -> tuple[str, ...]:
        return tuple(member[:-1] for member in self.members if member.endswith("*"))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# CGI and WSGI: RFC 3875 section 4.1 and PEP 3333; gunicorn's forwarder_headers take SCRIPT_NAME and PATH_INFO
# from its proxy. Daphne: http_protocol.py. X-Script-Name and X-Host: mod_wsgi and many a Flask middleware.
# Next.js: X-Middleware-Subrequest (CVE-2025-29927), X-Invoke-*, X-Matched-Path. IIS: X-WAWS-Unencoded-URL.
_PATH = Group(
    "script, path and host",
    False,
    _words(
        "script-name path-info path-translated request-uri request-method query-string document-uri"
        " document-root script-filename script-uri script-url server-name server-port server-protocol"
        " gateway-interface daphne-root-path root-path x-root-path x-script-name x-script-url x-host"
        " x-http-host-override x-envoy-original-path x-envoy-original-host x-waws-unencoded-url"
        " disguised-host x-matched-path x-now-route-matches x-middleware-* x-invoke-*"
    ),
    _words("x-middleware-subrequest x-middleware-rewrite x-invoke-path x-invoke-query x-invoke-status"),
)

# CGI, IIS; Authelia; Kubernetes' authenticating proxy; Louketo; Kong and APISIX; oauth2-proxy; Cloudflare
# Access; Google's IAP, Endpoints and App Engine; Azure App Service; Caddy's security; SiteMinder; Oracle
# Access Manager; WebSEAL; WebSphere's plug-in ($WSRU and others); Apache's OpenID Connect, SAML and
# Shibboleth; Grafana, Gitea; authentik; Pomerium; Vouch; OpenSearch; Tailscale; Teleport; ASP.NET's module.
_IDENTITY = Group(
    "user names and groups, as other proxies send them",
    False,
    _words(
        "remote-user remote-name remote-email remote-group remote-groups remote-ident auth-user auth-type"
        " logon-user unmapped-remote-user x-remote-user x-remote-uid x-remote-group x-remote-groups"
        " x-remote-name x-remote-email x-remote-extra-* impersonate-* x-auth-user x-auth-username"
        " x-auth-userid x-auth-name x-auth-email x-auth-subject x-auth-groups x-auth-roles"
        " x-authenticated-user x-authenticated-userid x-authenticated-groups x-authenticated-scope"
        " x-consumer-id x-consumer-custom-id x-consumer-username x-consumer-groups x-credential-identifier"
        " x-anonymous-consumer x-userinfo x-endpoint-api-userinfo x-apigateway-api-userinfo"
        " x-forwarded-user x-forwarded-email x-forwarded-groups x-forwarded-preferred-username"
        " x-forwarded-access-token cf-access-authenticated-user-email cf-access-jwt-assertion"
        " teleport-jwt-assertion x-proxy-user x-proxy-roles x-token-subject smuser sm-* oam-* iv-* -ws*"
        " oidc-* mellon-* shib-* x-webauth-* x-authentik-* x-pomerium-* x-vouch-* x-token-user-*"
        " x-goog-authenticated-user-* x-goog-iap-* x-appengine-* x-ms-client-principal* x-ms-token-*"
        " tailscale-user-* ms-aspnetcore-*"
    ),
    _words(
        "impersonate-user impersonate-group impersonate-uid sm-user iv-user iv-groups iv-creds"
        " oam-remote-user oidc-claim-sub oidc-claim-email shib-session-id x-webauth-user x-webauth-name"
        " x-webauth-email x-webauth-groups x-webauth-role x-authentik-username x-authentik-groups"
        " x-authentik-email x-authentik-uid x-authentik-jwt x-pomerium-jwt-assertion x-pomerium-claim-email"
        " x-pomerium-claim-groups x-vouch-user x-token-user-name x-token-user-email x-token-user-roles"
        " x-goog-authenticated-user-id x-goog-authenticated-user-email x-goog-iap-jwt-assertion"
        " x-appengine-user-email x-appengine-user-id x-appengine-cron x-appengine-queuename"
        " x-ms-client-principal x-ms-client-principal-id x-ms-client-principal-name"
        " tailscale-user-login tailscale-user-name ms-aspnetcore-token ms-aspnetcore-winauthtoken"
    ),
)

# httpoxy (CVE-2016-5385); nginx; Rack::Sendfile and lighttpd; Passenger's `!~` names.
_SERVERS = Group(
    "orders to the server",
    False,
    _words("proxy x-accel-* x-sendfile* x-lighttpd-* x-reproxy-url --*"),
    _words("x-accel-redirect x-accel-mapping x-accel-buffering x-sendfile x-sendfile-type"),
)

# RFC 7239, and what was used before it; ALB's identity headers, which only an ALB can vouch for.
_FORWARDED = Group(
    "what a proxy forwarded",
    True,
    _words("forwarded x-forwarded x-forwarded-* x-original-* x-real-ip x-rewrite-url x-amzn-oidc-*"),
    _words(
        "x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-forwarded-prefix"
        " x-forwarded-server x-forwarded-scheme x-forwarded-protocol x-forwarded-ssl x-forwarded-uri"
        " x-forwarded-method x-forwarded-path x-forwarded-script-name x-forwarded-client-cert"
        " x-forwarded-tls-client-cert x-forwarded-tls-client-cert-info x-original-url x-original-uri"
        " x-original-method x-original-host x-original-proto x-original-forwarded-for x-amzn-oidc-data"
        " x-amzn-oidc-identity x-amzn-oidc-accesstoken"
    ),
)

# CGI; mod_wsgi; WebLogic; Akamai, Cloudflare, CloudFront, Fastly, Fly, Vercel, Azure, Envoy.
_ADDRESS = Group(
    "the client's address and scheme",
    True,
    _words(
        "remote-addr remote-host remote-port client-ip x-client-ip x-cluster-client-ip x-remote-ip"
        " x-remote-addr x-originating-ip x-proxyuser-ip true-client-ip cf-connecting-ip cf-connecting-ipv6"
        " cf-pseudo-ipv4 cloudfront-viewer-address fastly-client-ip fastly-ssl fly-client-ip"
        " x-vercel-forwarded-for x-azure-clientip x-azure-socketip x-envoy-external-address"
        " x-envoy-internal x-sucuri-clientip wl-proxy-client-ip proxy-client-ip wl-proxy-ssl x-scheme"
        " x-url-scheme x-https x-ssl https front-end-https x-arr-ssl x-proxied-https"
    ),
)

# RFC 9440; ingress-nginx and Apache; HAProxy; ALB; IIS; WebLogic; Jetty.
_CERTIFICATE = Group(
    "the client's certificate",
    True,
    _words(
        "client-cert client-cert-chain wl-proxy-client-cert x-arr-clientcert proxy-auth-cert proxy-ssl-id"
        " x-client-cert x-client-cert-* x-client-certificate x-client-dn x-client-verify ssl-client-*"
        " x-ssl-* x-tls-client-* x-amzn-mtls-*"
    ),
    _words(
        "ssl-client-cert ssl-client-verify ssl-client-subject-dn ssl-client-issuer-dn ssl-client-s-dn"
        " ssl-client-i-dn ssl-client-fingerprint x-ssl-cert x-ssl-client-cert x-ssl-client-verify"
        " x-ssl-client-s-dn x-ssl-client-dn x-ssl-client-cn x-client-cert-subject x-amzn-mtls-clientcert"
        " x-amzn-mtls-clientcert-subject x-amzn-mtls-clientcert-leaf x-tls-client-verify x-tls-client-subject"
    ),
)

# A name in two groups belongs to the first.
GROUPS = (_PATH, _IDENTITY, _SERVERS, _FORWARDED, _ADDRESS, _CERTIFICATE)


_BY_NAME = {name: group for group in reversed(GROUPS) for name in group.names}
_PREFIXES = tuple(prefix for group in GROUPS for prefix in group.prefixes)


def group_of(name: str) -> Group | None:
    """Return the group of a folded name; None if no server trusts it."""
    group = _BY_NAME.get(name)
    if group is None and name.startswith(_PREFIXES):
        group = next(each for each in GROUPS if name.startswith(each.prefixes))
    return group
