"""Running the gateway: the only wiring of its parts, processes, listeners and reloads."""
