"""Waggle as a server of the Model Context Protocol (https://modelcontextprotocol.io): its
documents are searched, read and asked by assistants and editors."""
