"""The models that answer: what there is, how it gets here, the engine that runs it, the client."""
