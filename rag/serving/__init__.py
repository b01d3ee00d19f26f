"""vLLM as the engine: what it serves, where that fits, how it is started, watched and spread."""
