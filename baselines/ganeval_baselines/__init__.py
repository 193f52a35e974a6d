"""The reference models that ganeval trains under one protocol. Importing this registers their rows, without torch."""

from ganeval.registry import Baseline, Command, add

GANS = "ganeval_baselines.gans"

add(
    Baseline("gan", f"{GANS}.gan:MinimaxGAN", "GAN (minimax)", "arXiv:1406.2661"),
    Baseline("nsgan", f"{GANS}.nsgan:NSGAN", "NS-GAN", "arXiv:1406.2661"),
    Baseline("lsgan", f"{GANS}.lsgan:LSGAN", "LSGAN", "arXiv:1611.04076"),
    Baseline("wgan", f"{GANS}.wgan:WGAN", "WGAN", "arXiv:1701.07875"),
    Baseline("wgan_gp", f"{GANS}.wgan_gp:WGANGP", "WGAN-GP", "arXiv:1704.00028"),
    Baseline("dragan", f"{GANS}.dragan:DRAGAN", "DRAGAN", "arXiv:1705.07215"),
    Baseline("lsgan_gp", f"{GANS}.lsgan_gp:LSGANGP", "LSGAN-GP", "arXiv:1712.06391"),
    Baseline("dcgan", f"{GANS}.dcgan:DCGAN", "DCGAN", "arXiv:1511.06434", points=False),
    Baseline("cgan", f"{GANS}.cgan:CGAN", "CGAN", "arXiv:1411.1784", labels=True, points=False),
    Baseline("acgan", f"{GANS}.acgan:ACGAN", "ACGAN", "arXiv:1610.09585", labels=True, points=False),
    Baseline("infogan", f"{GANS}.infogan:InfoGAN", "InfoGAN", "arXiv:1606.03657"),
    Baseline("ebgan", f"{GANS}.ebgan:EBGAN", "EBGAN-PT", "arXiv:1609.03126", points=False),
    Baseline("unrolled", f"{GANS}.unrolled:Unrolled", "Unrolled GAN", "arXiv:1611.02163"),
    Baseline("mad_gan", f"{GANS}.mad_gan:MADGAN", "MAD-GAN", "arXiv:1704.02906"),
    Baseline("feature_matching", f"{GANS}.feature_matching:FeatureMatching", "Feature matching", "arXiv:1606.03498"),
    Baseline(
        "minibatch_discrimination",
        f"{GANS}.minibatch_discrimination:MinibatchDiscrimination",
        "Minibatch discrimination",
        "arXiv:1606.03498",
    ),
    Baseline(
        "historical_averaging",
        f"{GANS}.historical_averaging:HistoricalAveraging",
        "Historical averaging",
        "arXiv:1606.03498",
    ),
    Baseline("ssgan", f"{GANS}.ssgan:SSGAN", "Semi-supervised (K+1)", "arXiv:1606.03498", labels=True, points=False),
)

add(
    Command("train", "ganeval_baselines.commands:train"),
    Command("bench", "ganeval_baselines.commands:bench"),
)
