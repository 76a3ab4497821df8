"""Identity pools: an ID token in, temporary AWS credentials out."""
