"""A vision transformer of torchvision, for images of any size."""

from torch import nn

from pipeline.core.description import Description
from pipeline.data.torchvision_import import load


def vit_s(data: Description, patch: int) -> nn.Module:
    """ViT-S: 12 blocks of width 384 with 6 heads (Touvron et al. 2021, arXiv:2012.12877).

    Args:
        data: square images in classes.
        patch: pixels of a patch in each direction; 16 for images of 224 × 224.
    """
    _, height, _ = data.images.shape
    network: nn.Module = load("torchvision.models").VisionTransformer(
        image_size=height,
        patch_size=patch,
        num_layers=12,
        num_heads=6,
        hidden_dim=384,
        mlp_dim=1536,
        num_classes=data.num_classes,
    )
    return network
