"""The command: choose sections, subjects and sizes, run them, print and write the results."""

from __future__ import annotations

import argparse
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from sqlalchemy import URL

from benchmarks import mariadb
from benchmarks.bench import Bench
from benchmarks.measure import Figure
from benchmarks.report import (
    Result,
    read_json,
    show_figures,
    show_place,
    summary,
    title_of,
    write_json,
)
from benchmarks.sections import SECTIONS, Section
from benchmarks.server import databases, server
from benchmarks.sizes import DEFAULT, FULL, QUICK, TINY, Sizes
from benchmarks.subjects import BASE, SUBJECTS
from benchmarks.workers import Workers, workers

_PLAIN_WIDTH = 140
"""Where there is no terminal to ask for its width."""
_SIZES: dict[str, Sizes] = {"tiny": TINY, "quick": QUICK, "default": DEFAULT, "full": FULL}
_OURS_ALONE = "own"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 0 when it ran, whatever the figures."""
    options = _parser().parse_args(arguments)
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH)
    given = options.from_json
    result = read_json(given) if given else _measured(options, console)
    if options.json:
        write_json(options.json, result)
    if options.docs:
        from benchmarks.docs import update

        for path in update(result):
            console.print(f"wrote {path}")
    return 0


def _measured(options: argparse.Namespace, console: Console) -> Result:
    chosen = options.only or list(SECTIONS)
    keys = [key for key in SUBJECTS if not options.subjects or key in (BASE, *options.subjects)]
    start = time.monotonic()
    with server() as (url, place):
        show_place(console, place)
        figures, missing = run(
            url, _SIZES[options.size], chosen, console, keys=keys, bare=options.bare
        )
    console.print(f"{summary(figures)}, in {time.monotonic() - start:.0f} s")
    return Result(options.size, options.bare, place, missing, tuple(figures))


def run(
    url: URL,
    sizes: Sizes,
    chosen: Sequence[str],
    console: Console,
    *,
    keys: Sequence[str] = tuple(SUBJECTS),
    bare: bool = False,
    strict: bool = False,
) -> tuple[list[Figure], Mapping[str, str]]:
    """Measure the chosen sections on a server, printing each when it is done.

    Returns:
        The figures, and why subjects are missing.
    """
    figures: list[Figure] = []
    comparing = any(SECTIONS[name].compares for name in chosen)
    missing: Mapping[str, str] = {}
    with (
        databases(url, [_OURS_ALONE, *(keys if comparing else ())]) as made,
        _processes(made, keys if comparing else (), sizes) as processes,
    ):
        missing = processes.missing
        if mariadb.KEY in chosen and (absent := mariadb.missing()):
            missing = {**missing, mariadb.KEY: absent}
        for key, reason in missing.items():
            console.print(f"{title_of(key)}: {reason}")
        for name, section in SECTIONS.items():
            if name not in chosen:
                continue
            start = time.monotonic()
            with console.status(section.title) as status:

                def tell(what: str, section: Section = section) -> None:
                    status.update(f"{section.title}: {what}")

                bench = Bench(made[_OURS_ALONE], sizes, tell, bare, processes, strict)
                found = []
                try:
                    found.extend(section.measure(bench))
                except Exception:
                    if strict:
                        raise
                    bench.problems.append(f"{name}: {traceback.format_exc()}")
            for problem in bench.problems:
                console.print(f"[red]failed[/] {problem}", highlight=False)
            show_figures(console, f"{section.title} ({time.monotonic() - start:.0f} s)", found)
            figures += found
    return figures, missing


@contextmanager
def _processes(made: Mapping[str, URL], keys: Sequence[str], sizes: Sizes) -> Iterator[Workers]:
    with workers({key: made[key] for key in keys}, sizes) as found:
        yield found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure versioned tables against unversioned ones and against other ways to "
        "keep history. The server is the one that DATABASE_URL names, as superuser, or one that "
        "is started for the purpose. Without --quick or --full it takes some ten minutes.",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick",
        dest="size",
        action="store_const",
        const="quick",
        help="under three minutes on two cores",
    )
    size.add_argument(
        "--full",
        dest="size",
        action="store_const",
        const="full",
        help="hours: 5,000,000 versions, and memory",
    )
    size.add_argument("--size", choices=_SIZES, help="how much to measure (default: default)")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=SECTIONS,
        metavar="SECTION",
        help=f"only these sections: {', '.join(SECTIONS)}",
    )
    parser.add_argument(
        "--subjects",
        nargs="+",
        choices=SUBJECTS,
        metavar="SUBJECT",
        help=f"only these beside the unversioned tables: {', '.join(SUBJECTS)}",
    )
    parser.add_argument(
        "--bare",
        action="store_true",
        help="this library's own sections on tables with a primary key only: the hardest case",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument(
        "--from-json", type=Path, metavar="FILE", help="measure nothing, read results from there"
    )
    parser.add_argument(
        "--docs", action="store_true", help="write tables and plots into docs/benchmarks.md"
    )
    parser.set_defaults(size="default")
    return parser
