"""Expressions: what they give, and how they refuse."""

from __future__ import annotations

import math
import re

import awkward as ak
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hepgen.errors import ConfigError
from hepgen.events.expressions import Expression

X, Y = np.array([1.0, -2.0, 3.0]), np.array([4.0, 5.0, 6.0])
N = np.array([0, 1, 2], dtype=np.uint32)
LISTS = ak.Array([[1.0, 20.0], [], [30.0]])
COLUMNS = {"x": X, "y": Y, "n": N, "flag": np.array([True, False, True]), "Jet_pt": LISTS, "odd:name": X}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x + y * 2", X + Y * 2),
        ("(x + y) * 2", (X + Y) * 2),
        ("-x ** 2", -(X**2)),
        ("2 ** -1 + x", 0.5 + X),
        ("x - y - 1", X - Y - 1),
        ("n - 1", [-1, 0, 1]),
        ("y % 4 / 2", (Y % 4) / 2),
        ("abs(x) > 1 and y < 6", (np.abs(X) > 1) & (Y < 6)),
        ("not x > 0 or n == 2", ~(X > 0) | (N == 2)),
        ("x > 0 && !(y > 5)", (X > 0) & ~(Y > 5)),
        ("0 < x < 2", (X > 0) & (X < 2)),
        ("hypot(x, y)", np.hypot(X, Y)),
        ("arctan2(x, y) + sin(pi)", np.arctan2(X, Y) + math.sin(math.pi)),
        ("min(x, y, 0)", np.minimum(np.minimum(X, Y), 0)),
        ("max(Jet_pt)", [20.0, -math.inf, 30.0]),
        ("where(flag, x, y)", [1.0, 5.0, 3.0]),
        ("sqrt(exp(log(y))) * cosh(0)", np.sqrt(Y)),
        ("any(Jet_pt > 10)", [True, False, True]),
        ("count(Jet_pt) - 2", [0, -2, -1]),
        ("sum(Jet_pt * 2)", [42.0, 0.0, 60.0]),
        ("`odd:name` + .5e1", X + 5),
        ("7", [7, 7, 7]),
    ],
)
def test_values(text: str, expected: object) -> None:
    found = Expression.parse(text).evaluate(COLUMNS)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, expected)


def test_lists_stay_lists() -> None:
    found = Expression.parse("Jet_pt / y > 1").evaluate(COLUMNS)
    assert found.to_list() == [[False, True], [], [True]]


@pytest.mark.parametrize(
    ("text", "what", "position", "hint"),
    [
        ("x > > 3", "unexpected '>'", 4, ""),
        ("(x + 1", "ends too early", 6, ""),
        ("x = 3", "unexpected '='", 2, "did you mean '=='?"),
        ("sqr(x)", "no function 'sqr'", 0, "did you mean 'sqrt'?"),
        ("x + jet_pt", "no column 'jet_pt'", 4, "did you mean 'Jet_pt'?"),
        ("hypot(x)", "takes 2 arguments, not 1", 0, ""),
        ("x; y", "unexpected ';'", 1, ""),
        ("x y", "unexpected 'y'", 2, ""),
        ("", "ends too early", 0, ""),
        ("__import__(x)", "no function '__import__'", 0, ""),
        ("x.__class__", "no column", 0, ""),
        ("(" * 200 + "x" + ")" * 200, "nested too deeply", 60, ""),
    ],
)
def test_faults_are_marked_with_a_caret(text: str, what: str, position: int, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Expression.parse(text).evaluate(COLUMNS)
    line, caret = caught.value.where.split("\n")
    assert what in caught.value.what
    assert (line, caret) == (text, " " * position + "^")
    assert not hint or caught.value.hint == hint


def test_a_cut_needs_one_value_per_event() -> None:
    with pytest.raises(ConfigError, match=r"any\(\.\.\.\)"):
        Expression.parse("Jet_pt > 10").mask(ak.zip({"Jet_pt": LISTS}, depth_limit=1))


def test_columns_that_do_not_go_together_are_refused() -> None:
    batch = {"a": ak.Array([[1, 2], [3]]), "b": ak.Array([[1], [2]])}
    with pytest.raises(ConfigError, match="cannot combine"):
        Expression.parse("a + b").evaluate(batch)


@given(
    st.recursive(
        st.sampled_from(["x", "y", "2", "0.5"]),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
            # numpy does not subtract truths from each other; as numbers it does
            st.tuples(inner, st.sampled_from(["<", ">="]), inner).map(lambda t: f"(1 * ({t[0]} {t[1]} {t[2]}))"),
            inner.map(lambda text: f"abs({text})"),
        ),
        max_leaves=8,
    )
)
@example("(2 / (2 - 2))")
def test_it_agrees_with_numpy(text: str) -> None:
    with np.errstate(all="ignore"):
        # numbers of numpy: those of Python refuse to be divided by 0
        numbers = re.sub(r"[0-9.]+", r"float64(\g<0>)", text)
        expected = eval(numbers, {"abs": np.abs, "float64": np.float64}, {"x": X, "y": Y})
        found = Expression.parse(text).evaluate(COLUMNS)
    np.testing.assert_allclose(found, np.broadcast_to(expected, 3))
