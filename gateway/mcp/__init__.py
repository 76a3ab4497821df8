"""The authorization server that MCP clients find: who they are, what they are given, and for whom."""
