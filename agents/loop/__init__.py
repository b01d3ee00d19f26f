"""The agent: a model that chooses tools, step by step, until it can answer."""
