"""OpenAI's API over the collections."""
