"""The demo's trunk: LResNet's plan at a size that trains on a laptop's CPU in a minute."""

from __future__ import annotations

from .lresnet import ResidualTrunk


class Tiny(ResidualTrunk):
    """One block a stage, 16 to 128 channels; the stem halves the picture instead of the first stage.

    (B, 3, 112, 96) -> 16x56x48, 32x28x24, 64x14x12, 128x7x6: the map sizes of LResNet.
    """

    def __init__(self, image_size: tuple[int, int]):
        super().__init__(image_size, blocks=(1, 1, 1, 1), widths=(16, 16, 32, 64, 128), strides=(2, 1, 2, 2, 2))
