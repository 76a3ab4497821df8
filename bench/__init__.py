"""The benchmark: the gateway and its peers side by side, with the same checks and the same load."""
