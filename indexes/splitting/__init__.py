"""The parts of the splitter; ``indexes.splitter.split`` is the whole."""
