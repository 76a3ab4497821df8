"""Serving: the only wiring, processes, listeners, reloads."""
