"""``python -m sqlalchemy_temporal.cli``: the same as ``vsg``."""

from __future__ import annotations

from sqlalchemy_temporal.cli import main

if __name__ == "__main__":
    main()
