"""Lines of the benchmark of morphing as tables of markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

Line = dict[str, Any]
HEADER = (
    "method", "AUC after", "worst KS after", "movement", "latent", "of the best", "of quantiles", "effective", "fit [CPU s]",
    "cell [s]", "events/s",
)  # fmt: skip


def print_tables(lines: Sequence[Line]) -> None:
    """A table of all methods and problems, then the methods of each problem and the KS distance of every column."""
    print_overview(lines)
    for problem in dict.fromkeys(line["problem"] for line in lines):
        here = [line for line in lines if line["problem"] == problem]
        methods = {name: [line for line in here if line["method"] == name] for name in dict.fromkeys(_methods(here))}
        nothing = methods.pop("nothing", [])
        print(f"\n### {problem}\n")
        if nothing:
            print(
                f"{_seeds(nothing)}, {nothing[0]['events']} events a side. AUC before {_measured(nothing, 'before')}, target"
                f" against target {_measured(nothing, 'floor')}.\n"
            )
        quantile = _mean(methods.get("quantile", []), "movement")
        _table(HEADER, ([name, *_row(found, quantile)] for name, found in methods.items()))
        columns = list((nothing[0]["ks_before"] if nothing else here[0]["ks"]).keys())
        rows = [
            ["before", *_distances(nothing, "ks_before", columns)],
            ["floor", *_distances(nothing, "ks_floor", columns)],
        ]
        rows = rows if nothing else []
        print()
        _table(
            ("KS", *columns), [*rows, *([name, *_distances(found, "ks", columns)] for name, found in methods.items())]
        )


def print_overview(lines: Sequence[Line]) -> None:
    """AUC after each method, in brackets the mean movement, or the effective number of weighted events."""
    problems = list(dict.fromkeys(line["problem"] for line in lines))
    methods = [name for name in dict.fromkeys(_methods(lines)) if name != "nothing"]
    of = {
        (problem, method): [line for line in lines if (line["problem"], line["method"]) == (problem, method)]
        for problem in problems
        for method in ("nothing", *methods)
    }
    rows = [
        [words, *(_measured(of[problem, "nothing"], key) if of[problem, "nothing"] else "" for problem in problems)]
        for words, key in (("before", "before"), ("target against target", "floor"))
    ]
    rows += [[method, *(_after(of[problem, method]) for problem in problems)] for method in methods]
    _table(("AUC", *problems), rows)


def _after(found: Sequence[Line]) -> str:
    if not found:
        return ""
    moved = _mean(found, "movement")
    beside = f"{_mean(found, 'effective'):.0f} events" if moved is None else f"{moved:.3f}"
    return f"{_measured(found, 'after')} ({beside})"


def _methods(lines: Iterable[Line]) -> list[str]:
    return [line["method"] for line in lines]


def _row(found: Sequence[Line], quantile: float | None) -> list[str]:
    moved, best = _mean(found, "movement"), _mean(found, "best")
    return [
        _measured(found, "after"),
        f"{np.mean([max(line['ks'].values()) for line in found]):.3f}",
        _number(moved),
        _number(_mean(found, "movement_latent")),
        _number(None if moved is None or best is None else moved / best),
        _number(None if moved is None or quantile is None else moved / quantile),
        _number(_mean(found, "effective"), "{:.0f}"),
        _number(_mean(found, "fit_seconds"), "{:.0f}"),
        _number(_mean(found, "seconds"), "{:.0f}"),
        _number(_mean(found, "events_per_second"), "{:.2g}"),
    ]


def _measured(found: Sequence[Line], name: str) -> str:
    """The mean over seeds, and the error of one: they divide the same events."""
    values = [line[name][0] for line in found]
    errors = [line[name][1] for line in found if line[name][1] is not None]
    return f"{np.mean(values):.3f}" + (f" +- {np.sqrt(np.mean(np.square(errors))):.3f}" if errors else "")


def _mean(found: Sequence[Line], name: str) -> float | None:
    values = [line[name] for line in found if name in line]
    return float(np.mean(values)) if values else None


def _number(value: float | None, layout: str = "{:.3f}") -> str:
    return "" if value is None else layout.format(value)


def _distances(found: Sequence[Line], name: str, columns: Sequence[str]) -> list[str]:
    return [f"{np.mean([line[name][column] for line in found]):.3f}" for column in columns] if found else []


def _seeds(found: Sequence[Line]) -> str:
    return f"{len(found)} seeds" if len(found) > 1 else "1 seed"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    layout: Callable[[Sequence[str]], str] = lambda cells: "| " + " | ".join(cells) + " |"
    print(layout(header))
    print(layout(["---"] * len(header)))
    for row in rows:
        print(layout(row))
