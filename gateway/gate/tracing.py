"""Selection of a configuration's tracer: the previous one, a new one, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.config.extras import not_installed
from gateway.config.model import Config
from gateway.errors import GatewayError
from gateway.observe.logs import Logger
from gateway.observe.metrics import WorkerMetrics

if TYPE_CHECKING:
    from gateway.gate.tracer import Tracer


def tracer_of(
    config: Config, *, metrics: WorkerMetrics, log: Logger, previous: tuple[Config, Tracer | None] | None
) -> Tracer | None:
    """Return the tracer, or None if `tracing` is null. `previous`: the last configuration and its tracer.

    Raises GatewayError.
    """
    if config.tracing is None:
        return None
    if previous is not None:
        before, tracer = previous
        if (config.tracing, config.upstream) == (before.tracing, before.upstream):
            return tracer
    try:
        # Imported only where needed: OpenTelemetry costs 0.3 s and 12 MiB.
        from gateway.gate.tracer import Tracer  # noqa: PLC0415
    except ModuleNotFoundError as absent:
        package = (absent.name or "").partition(".")[0]
        if package not in {"opentelemetry", "requests"}:
            raise
        raise GatewayError(f"tracing is set, and {not_installed('tracing', package)}") from absent
    return Tracer(config.tracing, config.upstream, metrics=metrics, log=log)
