"""Other projects, measured on the same data. Each script runs in an environment of its own."""
