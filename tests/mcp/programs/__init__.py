"""The official MCP client and server, and fastmcp's: run by `make mcp`'s interpreter, never imported here."""
