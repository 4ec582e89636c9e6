"""Installing and checking what records changes."""
