"""`waggle serve` under load: many streams at a time against a model server of known pace."""
