"""TLS contexts: for clients, for the upstream, for AWS; made in one place, replaced when a file changes."""
