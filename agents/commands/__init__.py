"""The commands that `cli` assembles: the part of the terminal's door that knows of arguments."""
