"""Three-way merge: what it would do, the conflicts it meets, and doing it."""
