"""The reference models that ganeval trains under one protocol. Importing this registers their rows, without torch."""

from ganeval.registry import Baseline, Command, ExtractorSpec, add

GANS = "ganeval_baselines.gans"
CLASSIFIERS = "ganeval_baselines.classifiers"

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

CLASSIFIER_ROWS = (
    ("lenet", "lenet:LeNet", "LeNet-5", "doi:10.1109/5.726791"),
    ("alexnet_small", "alexnet:AlexNetSmall", "AlexNet, small", "doi:10.1145/3065386"),
    ("zfnet_small", "zfnet:ZFNetSmall", "ZFNet, small", "arXiv:1311.2901"),
    ("nin_small", "nin:NINSmall", "NIN, small", "arXiv:1312.4400"),
    ("vgg_small", "vgg:VGGSmall", "VGG, small", "arXiv:1409.1556"),
    ("googlenet_small", "googlenet:GoogLeNetSmall", "GoogLeNet, small", "arXiv:1409.4842"),
    ("caps_cnn", "caps_cnn:CapsCNN", "CNN of the CapsNet paper", "arXiv:1710.09829"),
    ("cnn", "cnn:CNN", "CNN", "-"),
    ("capsnet", "capsnet:CapsNet", "CapsNet", "arXiv:1710.09829"),
    ("capsnet_small", "capsnet:CapsNetSmall", "CapsNet, small", "arXiv:1710.09829"),
)

add(
    *(
        Baseline(name, f"{CLASSIFIERS}.{target}", title, paper, kind="classifier", labels=True, points=False)
        for name, target, title, paper in CLASSIFIER_ROWS
    )
)
add(
    *(
        ExtractorSpec(f"classifier:{name}", f"{CLASSIFIERS}.extractor:load", f"{title}: needs --weights, the "
                      f"checkpoint.pt that `ganeval train {name}` makes", paper)
        for name, _, title, paper in CLASSIFIER_ROWS
    )
)  # fmt: skip
