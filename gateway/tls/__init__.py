"""TLS contexts for clients, the upstream and AWS; replaced when their files change."""
