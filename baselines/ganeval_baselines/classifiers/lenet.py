"""LeNet-5."""

from torch import nn

from ganeval_baselines.classifiers.base import Classifier, ClassifierRecipe
from ganeval_baselines.shifts import BACKGROUND


class LeNet(Classifier):
    """LeNet-5 (LeCun et al., 1998, Proc. IEEE 86:2278): tanh, average pooling, 61,706 parameters on grey 28x28.

    Padded to 32x32 - C1 conv 6@5x5 - S2 pool 2x2 - C3 conv 16@5x5 - S4 pool 2x2 - C5 FC 120 - F6 FC 84 - FC 10.
    At 36x36 C5 sees 6x6 maps instead of 5x5. The features are F6's.
    Differs from the paper: C3 sees all the maps of S2; the pooling has no weights; plain tanh, not
    1.7159 tanh(2x/3); softmax and cross-entropy in place of Gaussian connections; shifts are the only distortion.
    """

    recipe = ClassifierRecipe(learning_rate=2e-3)

    def build_trunk(self) -> nn.Sequential:
        channels, side = self.shape[0], max(self.shape[-1], 32)
        maps = (side - 12) // 4
        return nn.Sequential(
            nn.ConstantPad2d((side - self.shape[-1]) // 2, BACKGROUND),
            nn.Conv2d(channels, 6, 5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
            nn.Linear(16 * maps * maps, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(),
        )  # fmt: skip
