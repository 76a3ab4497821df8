"""The gate: authentication, rate limits and authorization of each request, in one order of checks."""
