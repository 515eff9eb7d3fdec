"""The registry of generator families: name, import path and options, without importing torch.

A new family is one module in ``hepgen/generators/``, its options below, and one line in ``FAMILIES``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, create_model, model_serializer, model_validator

from hepgen.config.part import Part
from hepgen.errors import ConfigError, suggest

Activation = Literal["relu", "leaky_relu", "silu", "gelu"]


class CouplingOptions(Part):
    """Coupling flow with rational-quadratic splines (arXiv 1906.04032)."""

    layers: int = Field(8, ge=1)
    """Number of coupling layers."""
    hidden: list[int] = Field([256, 256], min_length=1)
    """Widths of the hidden layers of each coupling network."""
    bins: int = Field(8, ge=2)
    """Number of bins of each spline."""
    bound: float = Field(6.0, gt=0)
    """The splines act on [-bound, bound] of the standardised features; outside, the map is the identity."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropout in the coupling networks, in training only; it fades with the learning rate."""
    activation: Activation = "relu"
    """Activation function of the coupling networks."""


class GanOptions(Part):
    """GAN: of vectors a conditional Wasserstein GAN (arXiv 1704.00028, 2109.02551), of clouds EPiC-GAN (arXiv 2301.08128)."""

    loss: Literal["wasserstein", "least_squares"] | None = None
    """Loss; not set: wasserstein (with a gradient penalty) for vectors, least_squares (arXiv 1611.04076) for clouds."""
    latent: int | None = Field(None, ge=1)
    """Number of latent dimensions of an event; not set: 64 for vectors, 10 for clouds."""
    hidden: list[int] = Field([256, 256, 256], min_length=1)
    """Widths of the hidden layers of the generator (vectors)."""
    critic_hidden: list[int] = Field([512, 512, 512], min_length=1)
    """Widths of the hidden layers of the critic (vectors)."""
    network: Literal["epic", "message_passing"] = "epic"
    """Generator of clouds: EPiC layers, or messages between all pairs of constituents (MPGAN, arXiv 2106.11535)."""
    critic: Literal["epic", "pointnet_mix", "message_passing"] | None = None
    """Critic of clouds; not set: of the same kind as their generator."""
    point_latent: int | None = Field(None, ge=1)
    """Number of latent dimensions of each constituent of a cloud; not set: 3 (epic), 32 (message_passing)."""
    layers: int = Field(6, ge=1)
    """Number of EPiC layers of the generator."""
    critic_layers: int = Field(3, ge=1)
    """Number of EPiC layers of the critic."""
    width: int = Field(128, ge=1)
    """Width of the EPiC layers."""
    messages: list[int] = Field([96, 160, 192], min_length=1)
    """Widths of the networks that make a message of a pair of constituents (message_passing)."""
    updates: list[int] = Field([256, 256], min_length=1)
    """Widths of the hidden layers that make new features of a constituent of its messages (message_passing)."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Probability of dropout in a message_passing critic, in training only; it fades with the learning rate."""
    critic_steps: int | None = Field(None, ge=1)
    """Steps of the critic for each step of the generator; not set: 5 (wasserstein), 1 (least_squares)."""
    gradient_penalty: float = Field(10.0, ge=0)
    """Weight of the gradient penalty of the critic (wasserstein)."""
    observables: float = Field(4.0, ge=0)
    """Weight of the observables of a shower (centres, widths) beside its features in what the critic sees; 0: not seen."""
    optimizer: Literal["adam", "rmsprop"] = "adam"
    """Optimizer; adam has the betas 0 and 0.9 (wasserstein) or 0.9 and 0.999 (least_squares)."""
    learning_rate: float | None = Field(None, gt=0)
    """Learning rate, in the place of that of `training`; not set: 2e-4 (wasserstein), 1e-4 (least_squares)."""
    critic_learning_rate: float | None = Field(None, gt=0)
    """Learning rate of the critic; not set: that of the generator."""
    activation: Activation = "leaky_relu"
    """Activation function of both networks (vectors)."""


class VelocityOptions(Part):
    """The network of a flow."""

    network: Literal["epic", "transformer"] = "epic"
    """Network of clouds (arXiv 2301.08128, or attention); vectors always take a residual perceptron."""
    layers: int = Field(6, ge=1)
    """Number of layers, or of residual blocks."""
    hidden: int = Field(128, ge=1)
    """Width of each layer."""
    latent: int = Field(10, ge=1)
    """Numbers by which the constituents of a cloud talk to each other (epic)."""
    heads: int = Field(8, ge=1)
    """Number of attention heads, a divisor of `hidden` (transformer)."""
    frequencies: int = Field(16, ge=1)
    """Number of cosines of the time that the network sees."""
    waves: int = Field(0, ge=0)
    """Number of sines and cosines of each feature that the network sees beside it: they tell what is near from what is far."""
    per_feature: int = Field(0, ge=0)
    """Of vectors: width of one more perceptron that sees each feature by itself, for voxels that are nearly always empty; 0: none."""
    loss: Literal["squared", "huber"] = "squared"
    """Mean squared error of the velocity, or its root where it is large (pseudo-Huber), which outliers pull less."""
    times: Literal["uniform", "logit-normal"] = "uniform"
    """Law of the times that are trained; logit-normal takes few close to noise and to data."""

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.network == "transformer" and self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} cannot be divided among {self.heads} heads")
        return self


class MatchingOptions(VelocityOptions):
    """Flow matching along straight paths (arXiv 2210.02747; for clouds EPiC-FM, arXiv 2310.00049)."""

    sigma: float = Field(1e-4, ge=0, lt=1)
    """Width of the noise that is left at the end of a path."""
    solver: Literal["euler", "midpoint", "heun", "adams"] = "midpoint"
    """Solver of the flow; a step takes one network evaluation (euler, adams) or two (midpoint, heun)."""
    steps: int = Field(20, ge=1)
    """Number of steps of the solver: 20 of midpoint are 40 network evaluations."""


class MeanFlowOptions(VelocityOptions):
    """Average velocities over any piece of a path: one to four network evaluations sample (MeanFlow, arXiv 2505.13447)."""

    loss: Literal["squared", "huber"] = "huber"
    """Mean squared error of the velocity, or its root where it is large (pseudo-Huber), which outliers pull less."""
    frequencies: int = Field(4, ge=1)
    """Number of cosines of each time that the network sees; it is differentiated by them, so more make it noisy."""
    steps: int = Field(2, ge=1)
    """Number of steps, and of network evaluations, of sampling; may be changed after the training."""
    pieces: float = Field(0.5, gt=0, le=1)
    """Share of the training events whose piece of the path has a length; the others learn the velocity at a point."""


@dataclass(frozen=True)
class Family:
    """A family of generators.

    Attributes:
        name: what a recipe calls it.
        path: ``module:class`` of its generator.
        options: the model of its options.
        description: one line for ``hepgen config families``.
        clouds: whether it makes clouds of constituents, beside vectors.
    """

    name: str
    path: str
    options: type[Part]
    description: str
    clouds: bool = False


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            "coupling",
            "hepgen.generators.coupling:CouplingFlow",
            CouplingOptions,
            "coupling flow with rational-quadratic splines: exact likelihood, one network pass per layer to sample",
            clouds=True,
        ),
        Family(
            "gan",
            "hepgen.generators.adversarial:Gan",
            GanOptions,
            "generative adversarial network, of vectors and of clouds: the fastest sampling, no likelihood",
            clouds=True,
        ),
        Family(
            "matching",
            "hepgen.generators.matching:FlowMatching",
            MatchingOptions,
            "flow matching, of vectors and of clouds: the most faithful, tens of network evaluations to sample",
            clouds=True,
        ),
        Family(
            "mean_flow",
            "hepgen.generators.mean_flow:MeanFlow",
            MeanFlowOptions,
            "flow matching of average velocities, of vectors and of clouds: one to four network evaluations to sample",
            clouds=True,
        ),
    )
}


def find_family(name: str) -> Family:
    """The family of this name.

    Raises:
        ConfigError: if there is none, with the closest name.

    Example:
        >>> find_family("copling")
        Traceback (most recent call last):
        hepgen.errors.ConfigError: no generator family 'copling': did you mean 'coupling'?
    """
    if name not in FAMILIES:
        raise ConfigError(
            f"no generator family '{name}'", hint=suggest(name, FAMILIES) or f"known: {', '.join(FAMILIES)}"
        )
    return FAMILIES[name]


class OptionsByFamily(Part):
    """Options of the generator families by the family's name; those of a family that is not used are ignored."""

    def of(self, family: str) -> dict[str, Any]:
        """The options that were given for one family."""
        chosen = getattr(self, family, None)
        return chosen.explicit() if isinstance(chosen, Part) else {}

    @model_serializer(mode="plain")
    def _only_what_was_given(self) -> dict[str, Any]:
        return {family: self.of(family) for family in sorted(self.model_fields_set) if self.of(family)}


if TYPE_CHECKING:
    FamilyOptions = OptionsByFamily
else:
    _FIELDS = {
        name: (family.options | None, Field(None, description=family.description)) for name, family in FAMILIES.items()
    }
    FamilyOptions = create_model("FamilyOptions", __base__=OptionsByFamily, __doc__=OptionsByFamily.__doc__, **_FIELDS)
