"""What replicas know in common: the one way to Redis."""
