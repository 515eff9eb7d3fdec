"""Conditional Wasserstein GAN with gradient penalty (arXiv:1704.00028), FastCaloGAN's kind (arXiv:2109.02551)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from hepgen.generators.base import Generator, NoiseSpec, Objective, StageBatch
from hepgen.generators.networks.mlp import MLP

if TYPE_CHECKING:
    from hepgen.config.families import GanOptions


class WassersteinGan(Generator):
    """A generator network trained against a critic that estimates the Wasserstein distance.

    One round is ``critic_steps`` steps of the critic and one of the generator. The critic is needed in training only; a
    checkpoint is chosen by a physics score, because neither loss says how good the events are. Beside the features the
    critic sees their observables (centres and widths of a shower), as the discriminator of CaloGAN (arXiv:1705.02355) sees
    its layer energies and sparsities: from hundreds of logarithms it would hardly learn what analyses look at.

    References:
        Gulrajani et al., arXiv:1704.00028, eq. 3. FastCaloGAN: ATLAS, arXiv:2109.02551.

    Example:
        >>> from hepgen.config.families import GanOptions
        >>> gan = WassersteinGan(3, 1, GanOptions(latent=4, hidden=[8], critic_hidden=[8]))
        >>> gan.sample({"z": torch.zeros(5, 4)}, torch.zeros(5, 1)).shape
        torch.Size([5, 3])
    """

    family: ClassVar[str] = "gan"
    select_by_score: ClassVar[bool] = True
    # A few latent numbers cannot make independent noise for hundreds of empty voxels, and a critic would see that.
    dequantised: ClassVar[bool] = False

    def __init__(
        self, features: int, conditions: int, options: GanOptions, observables: int = 0, points: int = 0
    ) -> None:
        super().__init__(features, conditions, points)
        self.options = options
        seen = features + (observables if options.observables > 0 else 0) + conditions
        self.generator = MLP(options.latent + conditions, options.hidden, features, activation=options.activation)
        self.critic = MLP(seen, options.critic_hidden, 1, activation=options.activation)

    def noise_spec(self) -> tuple[NoiseSpec, ...]:
        return (NoiseSpec("z", (self.options.latent,)),)

    def sample(self, noise: Mapping[str, Tensor], condition: Tensor, mask: Tensor | None = None) -> Tensor:
        generated: Tensor = self.generator(torch.cat([noise["z"], condition], 1))
        return generated

    def sampling_parameters(self) -> list[str]:
        return [name for name in self.state_dict() if name.startswith("generator.")]

    def _seen(self, x: Tensor, batch: StageBatch) -> Tensor:
        """Features, and beside them their observables: the space in which distances are measured."""
        if self.options.observables == 0:
            return x
        return torch.cat([x, self.options.observables * batch.observe(x)], 1)

    def _judge(self, seen: Tensor, condition: Tensor) -> Tensor:
        value: Tensor = self.critic(torch.cat([seen, condition], 1))
        return value.squeeze(1)

    def _critic_loss(self, batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
        with torch.no_grad():
            true, fake = (self._seen(x, batch) for x in (batch.x, self.sample(noise, batch.condition)))
        mix = noise["mix"].unsqueeze(1)
        between = (mix * true + (1 - mix) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(self._judge(between, batch.condition).sum(), between, create_graph=True)
        # Two-sided as in the paper, with a root that has a gradient at 0.
        norm = (slope.square().sum(1) + 1e-12).sqrt()
        penalty = self.options.gradient_penalty * (norm - 1).square()
        return self._judge(fake, batch.condition) - self._judge(true, batch.condition) + penalty

    def _generator_loss(self, batch: StageBatch, noise: Mapping[str, Tensor]) -> Tensor:
        return -self._judge(self._seen(self.sample(noise, batch.condition), batch), batch.condition)

    def objectives(self) -> list[Objective]:
        optimizer: dict[str, Any] = {"learning_rate": self.options.learning_rate, "betas": (0.0, 0.9)}
        (z,) = self.noise_spec()
        return [
            Objective(
                "critic",
                list(self.critic.parameters()),
                self._critic_loss,
                steps=self.options.critic_steps,
                noise=(z, NoiseSpec("mix", (), "uniform")),
                optimizer=optimizer,
            ),
            Objective(
                "generator", list(self.generator.parameters()), self._generator_loss, noise=(z,), optimizer=optimizer
            ),
        ]
