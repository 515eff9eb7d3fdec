"""What a network gives without gradients, on a number of threads."""

import torch
from torch import Tensor, nn


def made_by(threads: int, network: nn.Module, *arguments: Tensor) -> Tensor:
    """The output of a network; torch has as many threads as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            made: Tensor = network(*arguments)
    finally:
        torch.set_num_threads(before)
    return made
