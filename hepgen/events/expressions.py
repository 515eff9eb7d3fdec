"""Expressions of columns, such as ``jet_pt > 300 and abs(jet_eta) < 2``: parsed, never handed to ``eval``.

Grammar, loosest first::

    or        := and ("or" | "||") ...        and   := not ("and" | "&&") ...
    not       := ("not" | "!") not | compare  compare := sum (< <= > >= == !=) sum ...   (chains: 20 < pt < 50)
    sum       := product (+ -) ...            product := unary (* / %) ...
    unary     := (- +) unary | power          power := atom ["**" unary]
    atom      := number | name | `any name` | function "(" or, ... ")" | "(" or ")"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from hepgen.errors import ConfigError, suggest
from hepgen.events.functions import CONSTANTS, FUNCTIONS, OPERATORS, operand

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_.]*)|`(?P<quoted>[^`]+)`"
    r"|(?P<sign>\*\*|<=|>=|==|!=|&&|\|\||[-+*/%<>!(),]))"
)
_WORDS = {"&&": "and", "||": "or", "!": "not"}
_COMPARISONS = frozenset(("<", "<=", ">", ">=", "==", "!="))
_MAX_DEPTH = 60


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


@dataclass(frozen=True)
class _Node:
    """A number, a column, or a function of other nodes."""

    kind: str
    value: Any
    position: int
    parts: tuple[_Node, ...] = ()


@dataclass(frozen=True)
class Expression:
    """A parsed expression of columns.

    Attributes:
        text: as it was written.
        names: the columns that it reads, in their order.

    Example:
        >>> cut = Expression.parse("jet_pt > 300 and abs(jet_eta) < 2")
        >>> cut.names
        ('jet_pt', 'jet_eta')
        >>> cut.evaluate({"jet_pt": np.array([100.0, 400.0]), "jet_eta": np.array([0.0, -1.5])})
        array([False,  True])
    """

    text: str
    names: tuple[str, ...]
    _tree: _Node

    @classmethod
    def parse(cls, text: str) -> Expression:
        """Parse an expression.

        Raises:
            ConfigError: with the place of the fault marked by a caret.
        """
        tree = _Parser(text).parse()
        return cls(text, tuple(dict.fromkeys(_names(tree))), tree)

    def check(self, known: Iterable[str]) -> None:
        """Refuse a column that is not known.

        Raises:
            ConfigError: naming it, with a suggestion.
        """
        columns = set(known)
        for name in self.names:
            if name not in columns:
                raise _fault(self.text, _position(self._tree, name), f"no column '{name}'", suggest(name, columns))

    def evaluate(self, batch: ak.Array | Mapping[str, Any]) -> Any:
        """The values for each event: a numpy array, or an awkward array where a jagged column is involved.

        Integers are widened to 64 bits first, so that no difference of unsigned numbers wraps around.

        Raises:
            ConfigError: for an unknown column, or columns whose shapes do not go together.
        """
        self.check(batch.fields if isinstance(batch, ak.Array) else batch)
        with np.errstate(all="ignore"):
            found = self._value(self._tree, batch)
        if not isinstance(found, ak.Array) and np.ndim(found) == 0:
            rows = len(batch) if isinstance(batch, ak.Array) else max((len(v) for v in batch.values()), default=1)
            return np.full(rows, found)
        return found

    def mask(self, batch: ak.Array) -> Any:
        """The values as a cut, one boolean per event.

        Raises:
            ConfigError: if there is not exactly one value per event.
        """
        found = self.evaluate(batch)
        if not isinstance(found, np.ndarray) or found.ndim != 1:
            raise ConfigError(
                "a cut needs one value per event", where=self.text, hint="put any(...) or all(...) around the lists"
            )
        return found.astype(bool)

    def _value(self, node: _Node, batch: Any) -> Any:
        if node.kind == "number":
            return node.value
        if node.kind == "column":
            return operand(batch[node.value])
        values = [self._value(part, batch) for part in node.parts]
        function = OPERATORS[node.value] if node.kind == "operator" else FUNCTIONS[node.value].apply
        try:
            return function(*values)
        except (ValueError, TypeError) as error:
            shapes = ", ".join(str(ak.type(value)) for value in values)
            raise _fault(self.text, node.position, f"'{node.value}' cannot combine {shapes}", "") from error


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0

    def parse(self) -> _Node:
        node = self._either()
        if self._peek().kind != "end":
            raise self._unexpected()
        return node

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, *texts: str) -> _Token | None:
        token = self._peek()
        if token.kind in {"sign", "word"} and token.text in texts:
            self._next += 1
            return token
        return None

    def _unexpected(self) -> ConfigError:
        token = self._peek()
        what = "the expression ends too early" if token.kind == "end" else f"unexpected '{token.text}'"
        return _fault(self._text, token.position, what, "")

    def _chain(self, below: Callable[[], _Node], *operators: str) -> _Node:
        node = below()
        while token := self._take(*operators):
            node = _Node("operator", token.text, token.position, (node, below()))
        return node

    def _either(self) -> _Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _fault(self._text, self._peek().position, "the expression is nested too deeply", "")
        node = self._chain(lambda: self._chain(self._negation, "and"), "or")
        self._depth -= 1
        return node

    def _negation(self) -> _Node:
        signs = []
        while token := self._take("not"):
            signs.append(token)
        node = self._comparison()
        for token in reversed(signs):
            node = _Node("operator", "not", token.position, (node,))
        return node

    def _comparison(self) -> _Node:
        left = self._sum()
        node: _Node | None = None
        while token := self._take(*_COMPARISONS):
            right = self._sum()
            link = _Node("operator", token.text, token.position, (left, right))
            node = link if node is None else _Node("operator", "and", token.position, (node, link))
            left = right
        return left if node is None else node

    def _sum(self) -> _Node:
        return self._chain(lambda: self._chain(self._unary, "*", "/", "%"), "+", "-")

    def _unary(self) -> _Node:
        signs = []
        while token := self._take("-", "+"):
            signs.append(token)
        node = self._power()
        for token in reversed(signs):
            if token.text == "-":
                node = _Node("operator", "negative", token.position, (node,))
        return node

    def _power(self) -> _Node:
        base = self._atom()
        if token := self._take("**"):
            return _Node("operator", "**", token.position, (base, self._unary_power()))
        return base

    def _unary_power(self) -> _Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _fault(self._text, self._peek().position, "the expression is nested too deeply", "")
        node = self._unary()
        self._depth -= 1
        return node

    def _atom(self) -> _Node:
        token = self._peek()
        if token.kind == "number":
            self._next += 1
            return _Node(
                "number", float(token.text) if set(token.text) & set(".eE") else int(token.text), token.position
            )
        if token.kind in {"name", "quoted"}:
            self._next += 1
            if token.kind == "name" and self._take("("):
                return self._call(token)
            if token.kind == "name" and token.text in CONSTANTS:
                return _Node("number", CONSTANTS[token.text], token.position)
            return _Node("column", token.text, token.position)
        if self._take("("):
            node = self._either()
            if not self._take(")"):
                raise self._unexpected()
            return node
        raise self._unexpected()

    def _call(self, token: _Token) -> _Node:
        if token.text not in FUNCTIONS:
            raise _fault(self._text, token.position, f"no function '{token.text}'", suggest(token.text, FUNCTIONS))
        parts = [self._either()]
        while self._take(","):
            parts.append(self._either())
        if not self._take(")"):
            raise self._unexpected()
        least, most = FUNCTIONS[token.text].arguments
        if not least <= len(parts) <= most:
            wanted = str(least) if least == most else f"{least} or more"
            what = f"'{token.text}' takes {wanted} arguments, not {len(parts)}"
            raise _fault(self._text, token.position, what, "")
        return _Node("function", token.text, token.position, tuple(parts))


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            start = len(text) - len(text[position:].lstrip())
            hint = "did you mean '=='?" if text[start] == "=" else ""
            raise _fault(text, start, f"unexpected '{text[start]}'", hint)
        kind = str(match.lastgroup)
        word = str(match[kind])
        if (kind == "sign" and word in _WORDS) or (kind == "name" and word in {"and", "or", "not"}):
            kind, word = "word", _WORDS.get(word, word)
        tokens.append(_Token(kind, word, match.start(match.lastgroup or 0)))
        position = match.end()
    return [*tokens, _Token("end", "", end)]


def _names(node: _Node) -> list[str]:
    own = [node.value] if node.kind == "column" else []
    return own + [name for part in node.parts for name in _names(part)]


def _position(node: _Node, name: str) -> int:
    if node.kind == "column" and node.value == name:
        return node.position
    return max((_position(part, name) for part in node.parts), default=-1)


def _fault(text: str, position: int, what: str, hint: str) -> ConfigError:
    """An error with the text and a caret below the place."""
    return ConfigError(what, where=f"{text}\n{' ' * max(position, 0)}^", hint=hint)
