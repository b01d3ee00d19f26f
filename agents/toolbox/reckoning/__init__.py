"""How the calculator reads and computes."""
