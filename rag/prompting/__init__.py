"""Prompts as files, and the techniques that work with them."""
