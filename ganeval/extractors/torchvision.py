"""Any classifier of torchvision: what enters its last linear layer, and its logits."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torchvision import models

from ganeval.errors import GanevalError
from ganeval.extractors.state_dicts import into, load_checkpoint
from ganeval.weights import choose, torchvision_weights


class Headless(nn.Module):
    """Maps a normalised batch to pooled (B, D), the input of the last linear layer, and logits (B, 1000).

    The resize, crop and normalisation are those that torchvision publishes with the weights.
    """

    def __init__(self, name: str, net: nn.Module, transforms: nn.Module) -> None:
        super().__init__()
        self.name = f"torchvision:{name}"
        self.net, self.resize = net, transforms
        linear = [module for module in net.modules() if isinstance(module, nn.Linear)]
        if not linear:
            raise GanevalError(f"torchvision's {name} has no last linear layer to take features from; choose another")
        self.pooled: list[Tensor] = []
        linear[-1].register_forward_hook(lambda _, inputs, __: self.pooled.append(inputs[0]))
        self.weights_sha256: str | None = None
        self.verified = False
        self.fingerprint = ""

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.net(inputs)
        return self.pooled.pop().flatten(1), logits


def load(variant: str | None, weights: Path | None) -> Headless:
    """A torchvision classifier with its default weights, or with those of a file."""
    name = variant or ""
    published = torchvision_weights(name)
    default = models.get_model_weights(name).DEFAULT
    path, digest = choose(published, weights)
    state = load_checkpoint(path)
    # These two were ported from TensorFlow and expect its input scale, which torchvision sets with their weights alone.
    options = {"init_weights": False, "transform_input": True} if name in ("inception_v3", "googlenet") else {}
    extractor = Headless(name, models.get_model(name, weights=None, **options), default.transforms())
    into(extractor.net, state, path)
    extractor.weights_sha256, extractor.verified = digest, published.matches(digest)
    extractor.fingerprint = f"torchvision-{name}/{digest[:8]}/{default.name.lower()}/v1"
    return extractor.eval()
