"""The tools that an agent may use."""
