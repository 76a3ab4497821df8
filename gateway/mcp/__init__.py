"""The authorization server for MCP clients: registration, authorization, codes and sealed tokens."""
