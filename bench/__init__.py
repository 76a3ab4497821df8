"""The benchmark: the gateway and its peers, side by side in one run, same checks, same work."""
