"""The `doctor` command: compares the configuration with the actual resources, and says how to fix each
difference.

The checks are in checkup/; here are the flags and the output.
Invariant: it changes nothing; exit code 1 if something is broken, 0 with warnings only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.commands.support.flag_parser import Parser
from gateway.commands.support.flags import Environ, account_flags, config_flag, config_path, json_flag
from gateway.terminal import Mark, Paint, paint_for, waiting_for, wrapped

if TYPE_CHECKING:
    from gateway.commands.checkup.finding import Finding
    from gateway.config.model import Config

EXAMPLE = "doctor --config config/gateway.yaml"
_MARKS: Mapping[str, Mark] = {"good": "good", "warning": "warn", "broken": "bad", "unknown": "none"}


def add_flags(parser: Parser) -> None:
    json_flag(parser)
    account_flags(parser, profile="AWS profile with read access to the user pools")
    config_flag(parser)


def run(arguments: argparse.Namespace, environ: Environ) -> int:
    """Print each finding as soon as it is known; return 1 if something is broken, else 0.

    Raises ConfigurationError.
    """
    from gateway.config.load import load

    path = config_path(arguments, environ)
    config = load(path, environ).config
    findings: list[Finding] = []
    paint = paint_for(sys.stdout, environ)
    for finding in _examine(config, path, profile=arguments.profile, region=arguments.region):
        findings.append(finding)
        if not arguments.json:
            sys.stdout.write(_text(finding, paint))
            sys.stdout.flush()
    if arguments.json:
        sys.stdout.write(json.dumps({"findings": [asdict(each) for each in findings]}, indent=2) + "\n")
    else:
        sys.stdout.write("\n" + paint.bold(_summary(findings)) + "\n")
    return 1 if any(finding.level == "broken" for finding in findings) else 0


def _examine(config: Config, path: Path, *, profile: str | None, region: str | None) -> Iterator[Finding]:
    from gateway.commands.checkup.file_findings import look_at_files
    from gateway.commands.checkup.finding import broken
    from gateway.commands.checkup.key_findings import look_at_keys
    from gateway.commands.checkup.look import look
    from gateway.commands.checkup.mcp_findings import look_at_mcp
    from gateway.commands.checkup.redis_findings import look_at_redis
    from gateway.commands.checkup.upstream_findings import look_at_upstream

    if not config.cognito.user_pools:
        yield broken(
            "configuration",
            "names no user pool",
            "every request that needs a token is answered 503",
            f"cognito-gateway setup --write {path}",
        )
    for pool in config.cognito.user_pools:
        with waiting_for(f"the keys of {pool.id} ({pool.jwks_file or pool.jwks_url})"):
            keys = asyncio.run(look_at_keys(pool, config.cognito.egress))
        yield from keys
        yield from look(config, pool, profile=profile, region=region)
    yield from look_at_files(config)
    with waiting_for("Redis"):
        redis = asyncio.run(look_at_redis(config))
    yield from redis
    if config.mcp is not None:
        with waiting_for(f"the documents for MCP clients at {config.mcp.origin}"):
            documents = asyncio.run(look_at_mcp(config, config.mcp))
        yield from documents
    yield from look_at_upstream(config)


def _text(finding: Finding, paint: Paint) -> str:
    lines = [f"{paint.mark(_MARKS[finding.level])} {paint.bold(finding.about)} {finding.what}"]
    if finding.level != "good":
        lines += [wrapped(finding.why, indent=4), wrapped(f"→ {finding.fix}", indent=4)]
    return "\n".join(lines) + "\n"


def _summary(findings: list[Finding]) -> str:
    count = {level: sum(each.level == level for each in findings) for level in _MARKS}
    warnings = "warning" if count["warning"] == 1 else "warnings"
    told = f"{count['broken']} broken, {count['warning']} {warnings}"
    return told + (f", {count['unknown']} could not be checked" if count["unknown"] else "")
