"""How one configuration traces: with the tracer of the one before, with a new one, or not at all."""

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
    """None where `tracing` is null. `previous`: the last one and its tracer. Raises GatewayError."""
    if config.tracing is None:
        return None
    if previous is not None:
        before, tracer = previous
        if (config.tracing, config.upstream) == (before.tracing, before.upstream):
            return tracer
    try:
        # Whoever traces nothing does not pay for OpenTelemetry: 0.3 s and 12 MiB.
        from gateway.gate.tracer import Tracer  # noqa: PLC0415
    except ModuleNotFoundError as absent:
        package = (absent.name or "").partition(".")[0]
        if package not in {"opentelemetry", "requests"}:
            raise
        raise GatewayError(f"tracing is set, and {not_installed('tracing', package)}") from absent
    return Tracer(config.tracing, config.upstream, metrics=metrics, log=log)
