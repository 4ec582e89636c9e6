"""Questions to the past: the same statements, answered as of a moment."""
