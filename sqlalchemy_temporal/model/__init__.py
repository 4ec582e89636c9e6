"""Models: what is versioned, and what an object was."""
