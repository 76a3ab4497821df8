"""Observability: metrics and logs. A base room, which imports only config and errors and sees no secret."""
