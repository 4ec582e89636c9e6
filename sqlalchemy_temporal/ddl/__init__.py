"""The database objects of versioning, as DDL elements rendered per dialect."""
