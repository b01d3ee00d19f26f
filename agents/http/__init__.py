"""The HTTP door: what OpenAI's clients speak, what the page and apps need, and how it is watched."""
