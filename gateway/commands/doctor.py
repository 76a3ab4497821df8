"""The `doctor` command: the configuration beside the world as it is, and what to do about each difference.

AWS's part is gateway/aws/doctor/, the upstream's upstream_check.py; here are keys, clock, files, and the
words for people.
Invariant: it only looks; 1 when something is broken, 0 with warnings alone.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path

from aiohttp import ClientError

from gateway.commands.checkup.finding import Finding, broken, good, unknown, warning
from gateway.commands.checkup.look import look
from gateway.commands.upstream_check import look_at_upstream
from gateway.config.load import load
from gateway.config.model import Config, Egress, UserPool
from gateway.errors import GatewayError, system_said
from gateway.keys.fetch import TOTAL_TIMEOUT, FetchFailed, FileSource, HttpSource
from gateway.outgoing.aws_http import AwsHttp
from gateway.serve.reload import files_of
from gateway.terminal import Mark, Paint, paint_for, waiting_for, wrapped
from gateway.tokens.claims import MAX_CLOCK_AHEAD
from gateway.tokens.jwk import KeySetRefused, read_key_set

# Seconds between our clock and the key endpoint's that are nobody's fault: a Date header has whole seconds.
_CLOCK_WARNS = 5.0
_MARKS: Mapping[str, Mark] = {"good": "good", "warning": "warn", "broken": "bad", "unknown": "none"}


@dataclass(frozen=True, slots=True)
class DoctorRequest:
    """The command's arguments."""

    config_path: Path
    profile: str | None
    region: str | None
    as_json: bool
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def doctor_command(request: DoctorRequest) -> int:
    """Prints what it finds, as it finds it; 1 where something is broken. Raises ConfigurationError."""
    loaded = load(request.config_path, request.environ)
    findings: list[Finding] = []
    paint = paint_for(sys.stdout, request.environ)
    for finding in _examine(loaded.config, request):
        findings.append(finding)
        if not request.as_json:
            sys.stdout.write(_text(finding, paint))
            sys.stdout.flush()
    if request.as_json:
        sys.stdout.write(json.dumps({"findings": [asdict(each) for each in findings]}, indent=2) + "\n")
    else:
        sys.stdout.write("\n" + paint.bold(_summary(findings)) + "\n")
    return 1 if any(finding.level == "broken" for finding in findings) else 0


def _examine(config: Config, request: DoctorRequest) -> Iterator[Finding]:
    if not config.cognito.user_pools:
        yield broken(
            "configuration",
            "names no user pool",
            "whatever needs a token is answered 503",
            f"cognito-gateway setup --write {request.config_path}",
        )
    for pool in config.cognito.user_pools:
        with waiting_for(f"the keys of {pool.id} ({pool.jwks_file or pool.jwks_url})"):
            keys = asyncio.run(_keys(pool, config.cognito.egress))
        yield from keys
        yield from look(config, pool, profile=request.profile, region=request.region)
    yield from _files(config)
    yield from look_at_upstream(config)


# --- keys and clock ----------------------------------------------------------------------------------------


async def _keys(pool: UserPool, egress: Egress) -> list[Finding]:
    about = f"keys of {pool.id}"
    source = HttpSource(pool.jwks_url, egress) if pool.jwks_file is None else FileSource(pool.jwks_file)
    where = str(pool.jwks_file or pool.jwks_url)
    try:
        keys, ignored = read_key_set(await source.read())
    except (FetchFailed, KeySetRefused) as error:
        why = "no token of this pool can be verified: 503"
        # A failed read names its place itself.
        told = str(error) if isinstance(error, FetchFailed) else f"{where}: {error}"
        return [broken(about, f"could not be fetched: {told}", why, "check the address and the network")]
    found = [good(about, f"{len(keys)} at {where}: {', '.join(sorted(keys))}")]
    found += [
        warning(
            f"key {name} of {pool.id}",
            f"cannot be used: {reason}",
            "a token signed with it is refused (unknown_key)",
            "if the pool issues such tokens, report it as a bug; in a jwks_file, remove the key",
        )
        for name, reason in ignored
    ]
    if pool.jwks_file is None:
        found.append(clock_finding(await _date(pool.jwks_url, egress), time.time()))
    return found


async def _date(url: str, egress: Egress) -> str | None:
    """The Date header of the key endpoint: AWS's clock, without credentials."""
    http = AwsHttp(egress)
    try:
        async with asyncio.timeout(TOTAL_TIMEOUT):
            options = await http.options(url)
            async with (
                http.session() as session,
                session.get(url, allow_redirects=False, **options) as answer,
            ):
                return answer.headers.get("Date")
    except (GatewayError, ClientError, OSError):
        return None


def clock_finding(date: str | None, now: float) -> Finding:
    """How far our clock is from the one behind this Date header (RFC 9110 section 6.6.1). Pure."""
    try:
        theirs = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return unknown("clock", "the key endpoint tells no time", "compare the clock by hand: date -u")
    # A Date header is cut to whole seconds: half a second later is the best guess.
    skew = now - (theirs + 0.5)
    told = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} Cognito's"
    fix = "have it set by NTP: timedatectl set-ntp true, or the host's chrony"
    if -skew > MAX_CLOCK_AHEAD:
        return broken("clock", told, "fresh tokens seem to be from the future and are refused", fix)
    if abs(skew) > _CLOCK_WARNS:
        return warning("clock", told, "tokens end so much too early or too late", fix)
    return good("clock", "agrees with Cognito's")


# --- files -------------------------------------------------------------------------------------------------


def _files(config: Config) -> Iterator[Finding]:
    tls = [each for each in (config.listen.tls, config.upstream.tls) if each is not None]
    keys = [each.key_file for each in tls if each.key_file is not None]
    for path in dict.fromkeys([*files_of(config), *keys]):
        yield _file(path)


def _file(path: Path) -> Finding:
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        return broken(
            str(path), f"cannot be read: {system_said(error)}", "it is named as a secret", "put it there"
        )
    if mode & 0o077:
        why = "everyone with an account on this machine can read the secret"
        return warning(str(path), f"can be read by others (mode {mode:04o})", why, f"chmod 600 {path}")
    return good(str(path), "is readable by its owner alone")


# --- words -------------------------------------------------------------------------------------------------


def _text(finding: Finding, paint: Paint) -> str:
    lines = [f"{paint.mark(_MARKS[finding.level])} {paint.bold(finding.about)} {finding.what}"]
    if finding.level != "good":
        lines += [wrapped(finding.why, indent=4), wrapped(f"→ {finding.fix}", indent=4)]
    return "\n".join(lines) + "\n"


def _summary(findings: list[Finding]) -> str:
    count = {level: sum(each.level == level for each in findings) for level in _MARKS}
    warnings = "warning" if count["warning"] == 1 else "warnings"
    told = f"{count['broken']} broken, {count['warning']} {warnings}"
    return told + (f", {count['unknown']} could not be looked at" if count["unknown"] else "")
