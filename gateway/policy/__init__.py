"""Authorization rules: canonical paths, routes, decisions, rate limits. All pure."""
