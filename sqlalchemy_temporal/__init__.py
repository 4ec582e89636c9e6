"""Full history, exact time travel and git-like operations for SQLAlchemy tables."""
