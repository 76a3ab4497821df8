"""Identity pools: exchange of an ID token for temporary AWS credentials."""
