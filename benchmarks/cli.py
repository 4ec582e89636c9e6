"""The command: choose sections and sizes, run them, print and write the results."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from sqlalchemy import URL

from benchmarks.bench import Bench
from benchmarks.measure import Figure
from benchmarks.report import show_figures, show_place, summary, write_json
from benchmarks.sections import SECTIONS
from benchmarks.server import database
from benchmarks.sizes import FULL, QUICK, TINY, Sizes

_PLAIN_WIDTH = 140
"""Where there is no terminal to ask for its width."""
_SIZES: dict[str, Sizes] = {"tiny": TINY, "quick": QUICK, "full": FULL}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 0 when it ran, whatever the figures."""
    options = _parser().parse_args(arguments)
    chosen = options.only or list(SECTIONS)
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH)
    start = time.monotonic()
    with database() as (url, place):
        show_place(console, place)
        figures = run(url, _SIZES[options.size], chosen, console, bare=options.bare)
        console.print(f"{summary(figures)}, in {time.monotonic() - start:.0f} s")
        if options.json:
            write_json(options.json, place, options.size, figures, bare=options.bare)
    return 0


def run(
    url: URL, sizes: Sizes, chosen: Sequence[str], console: Console, *, bare: bool = False
) -> list[Figure]:
    """Measure the chosen sections in a database, printing each when it is done."""
    figures: list[Figure] = []
    for name, (title, measure) in SECTIONS.items():
        if name not in chosen:
            continue
        with console.status(title) as status:

            def tell(what: str, title: str = title) -> None:
                status.update(f"{title}: {what}")

            found = list(measure(Bench(url, sizes, tell, bare)))
        show_figures(console, title, found)
        figures += found
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure versioned tables against unversioned ones. The server is the one "
        "that DATABASE_URL names, as superuser, or one that is started for the purpose.",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick",
        dest="size",
        action="store_const",
        const="quick",
        help="under three minutes on two cores",
    )
    size.add_argument("--size", choices=_SIZES, help="how much to measure (default: full)")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=SECTIONS,
        metavar="SECTION",
        help=f"only these sections: {', '.join(SECTIONS)}",
    )
    parser.add_argument(
        "--bare",
        action="store_true",
        help="tables with a primary key only: the hardest case for the ratios",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.set_defaults(size="full")
    return parser
