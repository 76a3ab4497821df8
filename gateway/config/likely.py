"""Doubtful IDs, well formed but surely not intended: the documentation's examples, Regions that do not exist.

Invariant: these are warnings, not mistakes: AWS opens new Regions, and emulators use IDs of any form.
"""

from __future__ import annotations

import re

# The IDs that README, docs and config/gateway.minimal.yaml show.
EXAMPLE_POOL, EXAMPLE_CLIENT = "ap-south-1_AbCdEfGhI", "1example23456789"
# botocore 1.42's endpoints of cognito-idp.
REGIONS = frozenset(
    {
        "af-south-1",
        *(f"ap-east-{number}" for number in (1, 2)),
        *(f"ap-northeast-{number}" for number in (1, 2, 3)),
        *(f"ap-south-{number}" for number in (1, 2)),
        *(f"ap-southeast-{number}" for number in range(1, 8)),
        *(f"eu-{name}" for name in ("central-1", "central-2", "north-1", "south-1", "south-2")),
        *(f"eu-west-{number}" for number in (1, 2, 3)),
        *(f"us-{name}" for name in ("east-1", "east-2", "west-1", "west-2", "gov-east-1", "gov-west-1")),
        *("ca-central-1", "ca-west-1", "eusc-de-east-1", "il-central-1", "mx-central-1", "sa-east-1"),
        *("me-central-1", "me-south-1"),
    }
)
# Cognito's have 26 lower-case letters and digits; less than ten is a typing error or YAML's `on`.
_CLIENT = re.compile(r"[a-z0-9]{10,}")


def pool_doubt(pool_id: str) -> str | None:
    """Return why this is hardly the ID of a user pool at AWS; None if nothing is doubtful."""
    if pool_id == EXAMPLE_POOL:
        return "is the example's ID: replace it with your user pool's"
    region = pool_id.rpartition("_")[0]
    # China is a mistake, not a doubt (cross_checks.py).
    if region in REGIONS or region.startswith("cn-"):
        return None
    import difflib  # noqa: PLC0415 - only loaded for a doubtful ID

    near = next(iter(difflib.get_close_matches(region, sorted(REGIONS), n=1)), None)
    return f"{region} is not a Region with Amazon Cognito" + (f": did you mean {near}?" if near else "")


def client_doubt(client_id: str) -> str | None:
    """Return why this is hardly the ID of an app client; None if nothing is doubtful."""
    if client_id == EXAMPLE_CLIENT:
        return "is the example's ID: replace it with your app client's"
    if _CLIENT.fullmatch(client_id) is None:
        return f"{client_id} does not look like an app client ID (26 lower-case letters and digits)"
    return None
