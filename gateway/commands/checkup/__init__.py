"""Checks for `doctor`: the configuration against AWS, keys, files, Redis, MCP metadata and the upstream."""
