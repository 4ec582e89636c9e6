"""History that other libraries recorded, brought into this one's.

:mod:`~sqlalchemy_temporal.imports.continuum` and :mod:`~sqlalchemy_temporal.imports.audit`
know what others write. Both turn it into the same thing, states of rows in numbered
transactions (:mod:`~sqlalchemy_temporal.imports.staging`), from which
:mod:`~sqlalchemy_temporal.imports.writing` makes commits and versions.
"""

from sqlalchemy_temporal.imports.audit import import_audit_activity
from sqlalchemy_temporal.imports.continuum import import_continuum_history
from sqlalchemy_temporal.imports.result import ImportedTable, ImportResult

__all__ = [
    "ImportResult",
    "ImportedTable",
    "import_audit_activity",
    "import_continuum_history",
]
