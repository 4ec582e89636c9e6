"""A shop whose tables change by Alembic, and whose past goes on answering.

``models.py`` is what the application has become, ``alembic/`` how it came there, one revision
after the other, as ``alembic revision --autogenerate`` wrote them. ``story.py`` runs through
them with customers coming and going in between, and asks about the past at the end::

    python -m examples.migrations.story [URL of an empty PostgreSQL database]
"""
