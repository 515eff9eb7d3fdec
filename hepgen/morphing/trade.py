"""A density that is known at one value of a parameter, carried to others by its derivative (TRADE, arXiv 2410.19492).

At the reference a conditional flow learns from events. Elsewhere its log density has to change with the parameter c as the true
one does, d/dc log p(x|c) = d/dc log q(x|c) - E_p(x|c)[d/dc log q(x|c)], where q is the density without its norm: powers
of a density (temperatures), a learned ratio of densities to the reference, or whatever physics says of c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hepgen.errors import ConfigError
from hepgen.events.expressions import Expression
from hepgen.generators.base import Generator, NoiseSpec, Objective, StageBatch
from hepgen.generators.coupling import CouplingFlow
from hepgen.morphing.base import Transport, two_samples, weighted_mean
from hepgen.morphing.space import JoinedSpace

if TYPE_CHECKING:
    from hepgen.config.morph_options import TradeOptions

# Of events (events, features) at parameters (events, conditions): d/dc log q(x|c), (events,).
Derivative = Callable[[Tensor, Tensor], Tensor]


def parameter_derivative(
    log_prob: Callable[[Tensor, Tensor], Tensor], x: Tensor, condition: Tensor, direction: Tensor, step: float
) -> Tensor:
    """d/dc log p(x|c) along a direction, (events,), by a central difference.

    A difference needs gradients of the first order only, which is what compiled splines have.

    Args:
        x: (events, features).
        condition: c, (events, conditions).
        direction: (conditions,).
        step: half the distance between the two values of c.

    Example:
        >>> x, c = torch.tensor([[2.0]]), torch.tensor([[3.0]])
        >>> parameter_derivative(lambda x, c: (x * c**2)[:, 0], x, c, torch.ones(1), 0.1).item()
        12.0
    """
    above, below = (log_prob(x, condition + sign * step * direction) for sign in (1.0, -1.0))
    return (above - below) / (2 * step)


def derivative_residual(found: Tensor, known: Tensor, log_weight: Tensor | None = None) -> Tensor:
    """What is missing of d/dc log p = d/dc log q - E[d/dc log q], (groups, events), arXiv 2410.19492 eq. 7.

    Args:
        found: d/dc log p of the model, (groups, events); a group is of one value of c.
        known: d/dc log q, (groups, events).
        log_weight: by which the events of a group stand for p(x|c), where they were drawn from another density; the
            mean is self-normalised.

    Example:
        >>> derivative_residual(torch.tensor([[0.0, 2.0]]), torch.tensor([[5.0, 7.0]])).tolist()
        [[1.0, 1.0]]
    """
    weight = torch.full_like(known, 1 / known.shape[1]) if log_weight is None else log_weight.softmax(1)
    return found - (known - (weight * known).sum(1, keepdim=True))


def propagation_loss(
    flow: Generator,
    derivative: Derivative,
    noise: Tensor,
    condition: Tensor,
    direction: Tensor | None = None,
    *,
    step: float = 0.05,
    delta: float = 0.1,
) -> Tensor:
    """Mean Huber loss of the residual where the flow itself puts events, a scalar.

    The events are drawn from the flow at each c and are no part of the gradient: where the flow is right at the
    reference and the residual vanishes between it and c, they follow p(x|c).

    Args:
        flow: with a likelihood, and one array ``z`` of noise.
        derivative: see ``Derivative``.
        noise: (groups, events, features).
        condition: a value of c for each group, (groups, conditions).
        direction: in which c changes, (conditions,); not given: that of the only condition.
        step: see ``parameter_derivative``.
        delta: from where on a residual counts linearly, and not by its square: steep log densities have large ones.
    """
    groups, events = noise.shape[:2]
    along = condition.new_ones(condition.shape[1]) if direction is None else direction
    c = condition.repeat_interleave(events, dim=0)
    with torch.no_grad():
        x = flow.sample({"z": noise.flatten(0, 1)}, c)
        known = derivative(x, c).view(groups, events)
    found = parameter_derivative(flow.log_prob, x, c, along, step).view(groups, events)
    residual = derivative_residual(found, known)
    return functional.huber_loss(residual, torch.zeros_like(residual), delta=delta) / delta


def power_derivative(log_density: Callable[[Tensor], Tensor]) -> Derivative:
    """Of q(x|c) = p(x)^exp(c): c is the logarithm of an inverse temperature, and p the density at c = 0.

    Example:
        >>> derivative = power_derivative(lambda x: -(x**2).sum(1) / 2)
        >>> derivative(torch.tensor([[2.0]]), torch.tensor([[0.0]])).item()
        -2.0
    """

    def derivative(x: Tensor, condition: Tensor) -> Tensor:
        return condition[:, 0].exp() * log_density(x)

    return derivative


class KnownDerivative:
    """d/dc log q(x|c) of features, from an expression of physical columns.

    Features that do not depend on c have a density that changes with c as that of the columns does.

    Args:
        space: fitted, with one condition, encoded by a straight line.
        text: the expression, see ``hepgen.events.expressions``.

    Attributes:
        low, high: physical range of c.

    Raises:
        ConfigError: if the condition has no range, or no straight line; if columns are expressed by it; or the expression
            names what is no column.
    """

    def __init__(self, space: JoinedSpace, text: str) -> None:
        self._space = space
        (one,) = space.representation.validity
        self.low, self.high = one.low, one.high
        key = f"representation.columns.{one.name}"
        if not self.low < self.high:
            raise ConfigError(
                f"the condition '{one.name}' has one value: nothing says how far the density is to be carried",
                where=key, hint=f"{key}: {{scale: affine, low: ..., high: ...}}",
            )  # fmt: skip
        self._ends = space.condition(self._physical([self.low, self.high]))
        middle = space.condition(self._physical([(self.low + self.high) / 2]))
        self._slope = float(self._ends.diff(dim=0)) / (self.high - self.low)
        if not self._slope > 0 or not torch.allclose(middle, self._ends.mean(0), atol=1e-4):
            raise ConfigError(
                f"the condition '{one.name}' is not encoded by a straight line", where=f"{key}.scale",
                hint="scale: affine",
            )  # fmt: skip
        self._expression = Expression.parse(text)
        columns = [
            self._columns(torch.zeros(1, space.stage.features), self._physical([c])) for c in (self.low, self.high)
        ]
        self._expression.check(columns[0])
        for name in set(columns[0]) - {one.name}:
            if not np.array_equal(columns[0][name], columns[1][name], equal_nan=True):
                raise ConfigError(
                    f"'{name}' is expressed by the condition '{one.name}', in which its density is to be carried",
                    where="representation", hint=f"representation.columns.{name}: {{scale: affine}}",
                )  # fmt: skip

    def between(self, share: Tensor) -> Tensor:
        """Encoded c at a share of its range, both (events, 1)."""
        low, high = self._ends.to(share.device)
        return torch.lerp(low.expand_as(share), high.expand_as(share), share)

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # numpy
    def __call__(self, x: Tensor, condition: Tensor) -> Tensor:
        """Of features (events, features) at encoded c (events, 1), for a step of one in the encoded c: (events,).

        Raises:
            ConfigError: where the expression is not finite, with the values of the columns.
        """
        physical = self.low + (condition.double().cpu() - self._ends[0]) / self._slope
        columns = self._columns(x.cpu(), physical)
        values = np.broadcast_to(np.asarray(self._expression.evaluate(columns), dtype=np.float64), (len(x),))
        strange = np.flatnonzero(~np.isfinite(values))
        if len(strange):
            at = ", ".join(f"{name} = {columns[name][strange[0]]:g}" for name in self._expression.names)
            raise ConfigError(
                f"the derivative is {values[strange[0]]} at {at}", where="options.trade.derivative",
                hint="narrow the range of the columns: representation.columns.NAME: {low: ..., high: ...}",
            )  # fmt: skip
        return torch.from_numpy(values / self._slope).to(x)

    def _columns(self, x: Tensor, physical: Tensor) -> dict[str, np.ndarray]:
        """Physical columns of features, by name."""
        noise = torch.full((len(x), self._space.stage.unnoise), 0.5)
        events = self._space.representation.unpack(self._space.decode(x, physical, noise))
        return {name: np.asarray(events[name]) for name in events.fields if events[name].ndim == 1}

    def _physical(self, values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)[:, None]


class Trade(Transport):
    """A density learned where there are events, and carried to other conditions by its derivative there.

    A flow learns the density of both samples at the conditions of their events, by maximum likelihood. Where there are no
    events its log density is made to change with the condition as the recipe says (``propagation_loss``), near those of the
    events first and further out as the learning rate falls. An event is moved through the normal law of the flow: to where
    the density at the other condition has as much of it on each side.

    References:
        TRADE, arXiv:2410.19492.

    Example:
        >>> from hepgen.config.morph_options import TradeOptions
        >>> method = Trade(2, 1, TradeOptions(derivative="-(x**2 + y**2) / 2", layers=2, hidden=[8]))
        >>> x, hot, cold = torch.tensor([[0.5, -1.0]]), torch.zeros(1, 1), torch.ones(1, 1)
        >>> torch.allclose(method(method(x, hot, cold, {}), cold, hot, {}), x, atol=1e-5)
        True

    Raises:
        ConfigError: unless there is one condition.
    """

    method: ClassVar[str] = "trade"
    changes_condition = True
    carries_on: ClassVar[bool] = True

    def __init__(self, features: int, conditions: int, options: TradeOptions) -> None:
        super().__init__(features, conditions)
        if conditions != 1:
            raise ConfigError(
                f"the method 'trade' carries a density along one condition, here there are {conditions}",
                where="representation.conditions",
                hint="name the one parameter that the derivative is taken by",
            )
        self.options = options
        self.flow = CouplingFlow(features, conditions, options)
        self.reach = 1.0  # share of the way from an event's condition to any other
        self._known: KnownDerivative | None = None

    def forward(self, x: Tensor, condition: Tensor, wanted: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        del noise
        latent = self.flow.pairs.mapped(x, condition)
        return self.flow.pairs.mapped(latent, wanted, inverse=True)

    def inverse(self, y: Tensor, condition: Tensor, wanted: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
        """The same map: it leads from the density at one condition to that at another, whichever sample had them."""
        return self.forward(y, condition, wanted, noise)

    def meet(self, space: JoinedSpace) -> None:
        self._known = KnownDerivative(space, self.options.derivative)

    def anneal(self, factor: float) -> None:
        super().anneal(factor)
        self.reach = min(1.0, 2 * (1 - factor))

    def objectives(self) -> list[Objective]:
        noise = (NoiseSpec("z", (self.features,)), NoiseSpec("share", (1,), "uniform"))
        return [Objective("propagation", list(self.parameters()), self._loss, noise=noise)]

    def _loss(self, batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
        if self._known is None:
            raise RuntimeError("this method meets the space of its features before it is trained")
        likelihoods = [
            weighted_mean(-self.flow.log_prob(sample.x, sample.condition), sample.weight)
            for sample in two_samples(batch)
        ]
        options, reach = self.options, self.reach if self.training else 1.0
        groups = min(options.values, len(batch.x))
        events = len(batch.x) // groups
        condition = torch.lerp(batch.condition[:groups], self._known.between(noise["share"][:groups]), reach)
        z = noise["z"][: groups * events].unflatten(0, (groups, events))
        residual = propagation_loss(self.flow, self._known, z, condition, delta=options.delta)
        return torch.stack(likelihoods).mean() + options.residual_weight * residual
