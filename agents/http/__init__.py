"""The HTTP door: OpenAI's API, what the page and apps need, and how all of it is watched."""
