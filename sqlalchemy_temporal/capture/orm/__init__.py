"""Recording changes without triggers: around the statements that make them.

Whatever changes a table through SQLAlchemy, the unit of work, the bulk operations of the ORM
and Core alike, is in the end one of its INSERT, UPDATE and DELETE constructs, executed on a
connection. There it is recorded:

``listen``
    the events: before and after each statement;
``reading``
    what a construct is about to change: which rows, which columns;
``work``
    what is done before the statement and after it;
``cascades``
    rows of other tables that the database changes by itself because of foreign keys;
``recorder``
    the statements that record, for each database;
``refusal``
    writes that cannot be recorded, and are refused.

Values of keys are the driver's own, as they come and go, not as types of SQLAlchemy show them.
"""
