"""What doctor knows about AWS: pools, clients, identity pools, compared with the configuration."""
