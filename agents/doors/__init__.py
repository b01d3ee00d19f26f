"""What every door to other apps shares: keys, rights, collections kept open, limits, the audit."""
