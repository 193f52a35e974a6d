"""The least-squares GAN with DRAGAN's penalty."""

from ganeval_baselines import losses
from ganeval_baselines.gans.dragan import DRAGAN


class LSGANGP(DRAGAN):
    """LSGAN with a gradient penalty around the real images (Mao et al., 2018, arXiv:1712.06391).

    Differs from the paper: the suite's networks. The authors' penalty weight was not to be confirmed; the suite's is
    DRAGAN's and stands in every record.
    """

    pair = losses.LEAST_SQUARES
