"""Generative adversarial networks, of vectors and of clouds, with a Wasserstein or a least-squares loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from hepgen.errors import ConfigError
from hepgen.generators.adversarial_losses import Shown, deceive, least_squares, wasserstein
from hepgen.generators.base import Generator, NoiseSpec, Objective, StageBatch
from hepgen.generators.chunks import in_chunks
from hepgen.generators.networks.epic import EpicNetwork
from hepgen.generators.networks.epic_critic import EpicCritic
from hepgen.generators.networks.message_passing import MessagePassing, MessagePassingCritic
from hepgen.generators.networks.mlp import MLP
from hepgen.generators.networks.pointnet import PointNetMix

if TYPE_CHECKING:
    from hepgen.config.families import GanOptions

# A network of messages holds a few hundred numbers of every pair of constituents.
MOST_POINTS_IN_PAIRS = 64


class Gan(Generator):
    """A generator network trained against a critic that tells its events from true ones.

    One round is ``critic_steps`` steps of the critic and one of the generator. The critic is needed in training only; a
    checkpoint is chosen by a physics score, because neither loss says how good the events are. Beside the features the
    critic sees their observables (centres and widths of a shower), as the discriminator of CaloGAN (arXiv:1705.02355) sees
    its layer energies and sparsities: from hundreds of logarithms it would hardly learn what analyses look at.

    Of a cloud, both networks are told how many constituents there are; made events have as many as the true ones.

    Raises:
        ConfigError: if messages are to be passed between more than ``MOST_POINTS_IN_PAIRS`` constituents.

    References:
        Vectors: Gulrajani et al., arXiv:1704.00028; FastCaloGAN: ATLAS, arXiv:2109.02551. Clouds: EPiC-GAN, Buhmann et
        al., arXiv:2301.08128; MPGAN, Kansal et al., arXiv:2106.11535. Least squares: Mao et al., arXiv:1611.04076.

    Example:
        >>> from hepgen.config.families import GanOptions
        >>> gan = Gan(3, 1, GanOptions(latent=4, hidden=[8], critic_hidden=[8]))
        >>> gan.sample({"z": torch.zeros(5, 4)}, torch.zeros(5, 1)).shape
        torch.Size([5, 3])
    """

    family: ClassVar[str] = "gan"
    select_by_score: ClassVar[bool] = True

    def __init__(
        self, features: int, conditions: int, options: GanOptions, observables: int = 0, points: int = 0
    ) -> None:
        super().__init__(features, conditions, points)
        self.options = options
        # A few latent numbers cannot make independent noise for hundreds of empty voxels, and a critic would see that. Each
        # constituent of a cloud has some of its own, and few values (charges, codes) would give its features away.
        self.dequantised = points > 0
        self.loss = options.loss or ("least_squares" if points else "wasserstein")
        self.latent = options.latent or (10 if points else 64)
        self.point_latent = (options.point_latent or (3 if options.network == "epic" else 32)) if points else 0
        seen = conditions + (observables if options.observables > 0 else 0)
        self.generator: nn.Module
        self.critic: nn.Module
        if points:
            _check_pairs(options, points)
            self.generator = _cloud_generator(self.point_latent, self.latent + conditions + 1, features, options)
            self.critic = _cloud_critic(features, seen + 1, options)
            pairs = options.network == "message_passing"
            self._width = options.messages[-1] * points if pairs else options.width
            self._tiles = 1 if pairs else EpicNetwork.tiles
        else:
            self.generator = MLP(self.latent + conditions, options.hidden, features, activation=options.activation)
            self.critic = MLP(features + seen, options.critic_hidden, 1, activation=options.activation)

    def noise_spec(self) -> tuple[NoiseSpec, ...]:
        event = NoiseSpec("z", (self.latent,))
        return (event, NoiseSpec("each", (self.point_latent,), points=True)) if self.points else (event,)

    def sample(self, noise: Mapping[str, Tensor], condition: Tensor, mask: Tensor | None = None) -> Tensor:
        given = torch.cat([noise["z"], condition], 1)
        if mask is None:
            vectors: Tensor = self.generator(given)
            return vectors
        given = torch.cat([given, self._multiplicity(mask)], 1)
        each = {"each": noise["each"]}
        if torch.is_grad_enabled():
            return self._cloud(each, given, mask)
        return in_chunks(self._cloud, self.noise_spec()[1:], each, given, mask, self._width, self._tiles)

    def _cloud(self, noise: Mapping[str, Tensor], given: Tensor, mask: Tensor | None) -> Tensor:
        made: Tensor = self.generator(noise["each"], given, mask)
        return made

    def sampling_parameters(self) -> list[str]:
        return [name for name in self.state_dict() if name.startswith("generator.")]

    def _multiplicity(self, mask: Tensor) -> Tensor:
        """The number of constituents over the largest one of the training events, (events, 1)."""
        return mask.sum(1, keepdim=True).to(torch.get_default_dtype()) / self.points

    def _shown(self, x: Tensor, batch: StageBatch) -> Shown:
        """Features and, times their weight, their observables: the space in which distances are measured."""
        if batch.mask is not None:
            x = x.masked_fill(~batch.mask.unsqueeze(2), 0.0)
        if self.options.observables == 0:
            return x, x.new_zeros(len(x), 0)
        return x, self.options.observables * batch.observe(x).flatten(1)

    def _judge(self, x: Tensor, observed: Tensor, batch: StageBatch) -> Tensor:
        judged: Tensor
        if batch.mask is None:
            judged = self.critic(torch.cat([x, observed, batch.condition], 1)).squeeze(1)
        else:
            event = torch.cat([observed, batch.condition, self._multiplicity(batch.mask)], 1)
            judged = self.critic(x, event, batch.mask)
        return judged

    def _critic_loss(self, batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
        with torch.no_grad():
            made = self.sample(noise, batch.condition, batch.mask)
            true, fake = self._shown(batch.x, batch), self._shown(made, batch)

        def judge(x: Tensor, observed: Tensor) -> Tensor:
            return self._judge(x, observed, batch)

        if self.loss == "least_squares":
            return least_squares(judge, true, fake)
        return wasserstein(judge, true, fake, noise["mix"], self.options.gradient_penalty)

    def _generator_loss(self, batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
        made = self.sample(noise, batch.condition, batch.mask)
        return deceive(self._judge(*self._shown(made, batch), batch), self.loss)

    def objectives(self) -> list[Objective]:
        slopes = self.loss == "wasserstein"
        rate = self.options.learning_rate or (2e-4 if slopes else 1e-4)
        optimizer: dict[str, Any] = {"kind": self.options.optimizer}
        if self.options.optimizer == "adam":
            optimizer["betas"] = (0.0, 0.9) if slopes else (0.9, 0.999)
        made = self.noise_spec()
        return [
            Objective(
                "critic",
                list(self.critic.parameters()),
                self._critic_loss,
                steps=self.options.critic_steps or (5 if slopes else 1),
                noise=(*made, NoiseSpec("mix", (), "uniform")) if slopes else made,
                optimizer={"learning_rate": self.options.critic_learning_rate or rate, **optimizer},
            ),
            Objective(
                "generator",
                list(self.generator.parameters()),
                self._generator_loss,
                noise=made,
                optimizer={"learning_rate": rate, **optimizer},
            ),
        ]


def _cloud_generator(inputs: int, conditions: int, features: int, options: GanOptions) -> nn.Module:
    if options.network == "message_passing":
        return MessagePassing(inputs, conditions, features, messages=options.messages, updates=options.updates)
    return EpicNetwork(
        inputs, conditions, features, layers=options.layers, hidden=options.width, normalised=True, sum_scale=1.0
    )


def _cloud_critic(features: int, conditions: int, options: GanOptions) -> nn.Module:
    kind = options.critic or options.network
    if kind == "message_passing":
        return MessagePassingCritic(
            features, conditions, messages=options.messages, updates=options.updates, dropout=options.dropout
        )
    if kind == "pointnet_mix":
        return PointNetMix(features, conditions)
    return EpicCritic(features, conditions, layers=options.critic_layers, hidden=options.width)


def _check_pairs(options: GanOptions, points: int) -> None:
    if "message_passing" in {options.network, options.critic} and points > MOST_POINTS_IN_PAIRS:
        raise ConfigError(
            f"messages pass between {MOST_POINTS_IN_PAIRS} constituents at most, here there are up to {points}",
            hint=f"set representation.max_constituents to {MOST_POINTS_IN_PAIRS} or less, or take the network epic",
        )
