"""Measurements of Waggle and of its peers on open evaluation sets; not part of the wheel."""
