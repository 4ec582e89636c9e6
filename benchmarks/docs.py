"""Tables and plots in ``docs/benchmarks.md``, from results.

The page has places ``<!-- benchmarks: NAME -->`` … ``<!-- end -->``; what is between is written
here, and the prose around them by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks import mariadb
from benchmarks.measure import Figure
from benchmarks.plot import draw, growth, of, slope
from benchmarks.report import Result, number, quartiles, times, title_of
from benchmarks.sections import SECTIONS
from benchmarks.subjects import BASE, SUBJECTS

PAGE: Final = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_PLACE: Final = re.compile(r"(<!-- benchmarks: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_QUESTIONS: Final = ("key", "parent", "parents", "whole", "count", "indexed", "filter")


def update(result: Result, page: Path = PAGE) -> list[Path]:
    """Write tables into a page, and plots beside it; return what was written."""
    plots = draw(result, page.parent / page.stem)
    parts = _parts(result, page, plots)

    def place(found: re.Match[str]) -> str:
        name = found[2]
        if name not in parts:
            raise KeyError(f"{page} has a place for {name!r}, which is none of {sorted(parts)}")
        return f"{found[1]}\n{parts[name](result).strip() or '(not measured)'}\n\n{found[3]}"

    page.write_text(_PLACE.sub(place, page.read_text(encoding="utf-8")), encoding="utf-8")
    return [page, *plots]


def _parts(
    result: Result, page: Path, plots: Sequence[Path]
) -> Mapping[str, Callable[[Result], str]]:
    drawn = {path.stem: path.relative_to(page.parent).as_posix() for path in plots}

    def compared(name: str) -> Callable[[Result], str]:
        def write(given: Result) -> str:
            picture = f"![{SECTIONS[name].title}]({drawn[name]})\n\n" if name in drawn else ""
            return picture + _compared(of(given, name))

        return write

    def own(name: str) -> Callable[[Result], str]:
        return lambda given: _own([one for one in given.figures if one.section == name])

    return {
        "place": _place,
        "subjects": _subjects,
        "aims": _aims,
        "growth": lambda given: (
            (f"![Reads as history grows]({drawn['growth']})\n\n" if "growth" in drawn else "")
            + _slopes(given)
        ),
        **{
            name: compared(name) if section.compares else own(name)
            for name, section in SECTIONS.items()
        },
        mariadb.KEY: _beside,
    }


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _place(result: Result) -> str:
    place = result.place
    versions = ", ".join(f"{name} {value}" for name, value in place.versions.items())
    settings = ", ".join(f"`{name} = {value}`" for name, value in place.settings.items())
    machine = ", ".join(f"{name} {value}" for name, value in place.machine.items() if value)
    return f"Size `{result.size}`. {versions}.\n\n{settings}.\n\nMachine: {machine}."


def _subjects(result: Result) -> str:
    return _table(
        ["subject", "what it is"],
        [
            [kind.title, kind.about + (f" ({why})" if (why := result.missing.get(key)) else "")]
            for key, kind in SUBJECTS.items()
        ]
        + [
            [
                mariadb.TITLE,
                mariadb.ABOUT + (f" ({why})" if (why := result.missing.get(mariadb.KEY)) else ""),
            ]
        ],
    )


def _compared(figures: Sequence[Figure]) -> str:
    """A row for each work, a column for each subject: the time of one, ratios of the others."""
    keys = [key for key in SUBJECTS if any(one.subject == key for one in figures)]
    works: dict[tuple[str, str], dict[str, Figure]] = {}
    for one in figures:
        works.setdefault((one.name, one.way), {})[one.subject] = one
    rows = []
    for (name, way), found in works.items():
        row = [f"{name} ({way})" if way in {"sql", "orm"} else name]
        for key in keys:
            one = found.get(key)
            if one is None or one.ours is None:
                row.append(one.note if one is not None else "–")
            elif one.ratio is None:
                row.append(f"{number(one.ours.median)} {one.unit}")
            else:
                busy = f" / {times(one.processor_ratio)}" if one.processor_ratio else ""
                row.append(times(one.ratio) + busy)
        rows.append(row)
    return _table(["work", *(SUBJECTS[key].title for key in keys)], rows) if rows else ""


def _own(figures: Sequence[Figure]) -> str:
    rows = [
        [
            one.name,
            f"{number(one.ours.median)} {one.unit}" if one.ours else one.note,
            quartiles(one.ours),
            f"{times(one.ratio)} {one.against}" if one.ratio else "",
        ]
        for one in figures
    ]
    return _table(["work", "median", "quartiles", "ratio"], rows) if rows else ""


def _beside(result: Result) -> str:
    """Another server's versioned tables beside its own unversioned ones."""
    figures = [one for one in result.figures if one.section == mariadb.KEY]
    notes = [f"{title_of(one.subject)}: {one.note}" for one in figures if one.ours is None]
    rows = [
        [
            one.name,
            f"{number(one.base.median)} {one.unit}" if one.base else "",
            f"{number(one.ours.median)} {one.unit}",
            times(one.ratio) + (f" / {times(one.processor_ratio)}" if one.processor_ratio else ""),
        ]
        for one in figures
        if one.ours
    ]
    if rows:
        notes.append(_table(["work", "unversioned", "versioned", "ratio"], rows))
    return "\n\n".join(notes)


def _aims(result: Result) -> str:
    rows = []
    for one in result.figures:
        judged = one.ratio or one.ours
        if one.target is None or judged is None:
            continue
        value = times(one.ratio) if one.ratio else f"{number(judged.median)} {one.unit}"
        aim = f"×{one.target.value:g}" if one.ratio else f"{one.target.value:g} {one.unit}"
        sign = "≤" if one.target.sense == "at most" else "≥"
        busy = times(one.processor_ratio)
        rows.append(
            [
                f"{one.name}{f' ({one.way})' if one.way else ''}, {title_of(one.subject)}"
                + (f", against {one.against}" if one.against else ""),
                value,
                busy,
                f"{sign} {aim}",
                "met" if one.met else "**missed**",
            ]
        )
    return _table(["work", "wall", "processor", "aim", ""], rows) if rows else ""


def _slopes(result: Result) -> str:
    """How much a read of the present costs more with each version a row has more."""
    rows = []
    keys = [key for key in SUBJECTS if any(growth(result, one, key) for one in _QUESTIONS)]
    for question in _QUESTIONS:
        if not growth(result, question, BASE):
            continue
        name = of(result, "reads", question=question)[0].name.rsplit(",", 2)[0]
        row = [name]
        for key in keys:
            points = growth(result, question, key)
            if len(points) < 2:
                row.append("–")
                continue
            start, steep = slope(points)
            first = start + steep * points[0][0]
            row.append(f"{steep / first * 100:+.1f} %" if first > 0 else "–")
        rows.append(row)
    if not rows:
        return ""
    head = ["a version more costs", *(SUBJECTS[key].title for key in keys)]
    return _table(head, rows)
