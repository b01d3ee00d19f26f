"""How well questions are answered: sets, figures, runs that can be repeated."""
