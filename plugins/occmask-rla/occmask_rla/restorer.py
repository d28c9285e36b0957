"""The restorer: a multi-scale spatial LSTM encoder and a two-channel LSTM decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import occmask

from .decoder import CanvasChannel, State
from .spatial_lstm import SpatialLstm
from .windows import read_wide_windows, read_windows

_DARKEST = 0.02  # of a mean face that a canvas starts from: a logit of black would be infinite
_GREY = 1 / 255  # largest difference between the channels of a grey picture, in [-1, 1]


class Decoded(NamedTuple):
    """Both channels' canvases."""

    face: Tensor  # (B, C, h, w) in [-1, 1]
    coverage: Tensor  # (B, 1, h, w) logits of "this place is covered"


class RobustAutoencoder(nn.Module):
    """Finds what covers a face and paints the face that is behind it (Zhao et al., TIP 2018).

    (B, 3, H, W) in [-1, 1] -> `Restoration(image, coverage logits)`, image = o * painted + (1 - o) * input with
    o = sigmoid(coverage): what is not covered is kept as it is.

    The picture is read at 1 / `shrink` of its size, over a grid of `grid` = (rows, columns) positions; at each the
    encoder, `layers` of 2-D LSTM, sees a window of `window` = (height, width) pixels (None: the cell) and one of twice
    that side sampled down, each with weights of its own.  The decoder starts from the encoder: from its state at the
    last position, or, with `every_position`, from a linear map of the hidden states at all of them.  Each channel
    runs `steps` steps over a canvas at the reading size.  `channels`: 3 reads and paints colour, and paints grey where
    the picture is grey; 1 reads the mean of the channels and always paints grey.  `mean_face`: the canvas starts from
    the mean of the faces met in training (`meet`), not from mid-grey.  `peepholes`: all gates see the cells;
    `forget_bias` is where the biases of the forget gates start: at 0 the encoder's two add up to 1, above it what a
    large grid holds grows along every path.

    Published: 128 x 128 pixels, shrink=1, grid=(2, 2), window=(32, 32), units=2048, layers=2, steps=8, channels=1,
    forget_bias=5, every_position=False, mean_face=False.
    """

    finds_cover = True
    mean: Tensor
    faces_met: Tensor

    def __init__(
        self,
        image: occmask.FeatureShape,
        *,
        shrink: int = 2,
        grid: Sequence[int] = (4, 4),
        window: Sequence[int] | None = None,
        units: int = 256,
        layers: int = 1,
        steps: int = 8,
        channels: int = 3,
        peepholes: bool = True,
        forget_bias: float = 0.0,
        every_position: bool = True,
        mean_face: bool = True,
    ):
        super().__init__()
        for name, value in (("shrink", shrink), ("units", units), ("layers", layers), ("steps", steps)):
            if value < 1:
                raise occmask.OptionError(f"restorer 'rla': {name} is at least 1, not {value!r}")
        if channels not in (1, 3):
            raise occmask.OptionError(f"restorer 'rla': channels is 3 (colour) or 1 (grey), not {channels!r}")
        self.grid = _pair("grid", grid)
        self.size = cast(
            "tuple[int, int]",
            tuple(
                max(1, round(side / shrink / count)) * count
                for side, count in zip((image.height, image.width), self.grid, strict=True)
            ),
        )
        cell = self.size[0] // self.grid[0], self.size[1] // self.grid[1]
        self.window = cell if window is None else _pair("window", window)
        self.channels, self.steps, self.mean_face = channels, steps, mean_face
        pixels = self.size[0] * self.size[1]
        read = channels * self.window[0] * self.window[1]
        widths = [(read, read), *[(units,)] * (layers - 1)]
        self.encoder = nn.ModuleList(
            SpatialLstm(width, units, peepholes=peepholes, forget_bias=forget_bias) for width in widths
        )
        positions = self.grid[0] * self.grid[1]
        self.summary = (
            nn.ModuleList(nn.Linear(positions * units, 2 * units) for _ in range(layers)) if every_position else None
        )
        for layer in self.summary or ():
            nn.init.xavier_uniform_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        painter = {"layers": layers, "peepholes": peepholes, "forget_bias": forget_bias}
        self.reconstruction = CanvasChannel(0, units, channels * pixels, **painter)  # type: ignore[arg-type]
        self.detector = CanvasChannel(units, units, pixels, **painter)  # type: ignore[arg-type]
        self.register_buffer("mean", torch.full((channels, *self.size), 0.5))
        self.register_buffer("faces_met", torch.zeros((), dtype=torch.int64))

    def forward(self, images: Tensor) -> occmask.Restoration:  # (B, 3, H, W)
        decoded = self.decode(images)
        return occmask.Restoration(self.compose(images, decoded), decoded.coverage)

    def decode(self, images: Tensor) -> Decoded:
        """Both channels on their canvases: (B, 3, H, W) -> faces in [-1, 1] and logits of the cover."""
        states = self._encode(self.read(images))
        painted = self.reconstruction(states, [None] * self.steps)
        found = self.detector(states, painted.hidden)
        canvas = painted.canvas.unflatten(1, (self.channels, *self.size))
        if self.mean_face:
            canvas = canvas + self.mean.clamp(_DARKEST, 1 - _DARKEST).logit()
        return Decoded(2 * canvas.sigmoid() - 1, found.canvas.unflatten(1, (1, *self.size)))

    def compose(self, images: Tensor, decoded: Decoded) -> Tensor:
        """o * painted + (1 - o) * images, in the images' size: (B, 3, H, W)."""
        cover = _resized(decoded.coverage, images).sigmoid()
        return cover * self.paint(images, decoded) + (1 - cover) * images

    def paint(self, images: Tensor, decoded: Decoded) -> Tensor:
        """The first channel's whole face, in the images' size and as grey as they are: (B, 3, H, W)."""
        painted = _resized(decoded.face, images)
        if self.channels == 3:
            grey = (images.amax(1) - images.amin(1)).flatten(1).amax(1) <= _GREY  # (B,)
            painted = torch.where(grey[:, None, None, None], painted.mean(1, keepdim=True), painted)
        return painted.expand_as(images)

    def read(self, images: Tensor) -> Tensor:
        """What is read of pictures, (B, C, h, w): sampled down, and grey if there is one channel."""
        small = F.adaptive_avg_pool2d(images.contiguous(), self.size)
        return small if self.channels == 3 else small.mean(1, keepdim=True)

    def loss(self, coverage: Tensor, truth: occmask.OcclusionTruth) -> Tensor:
        """What the detector loses: a scalar."""
        return occmask.coverage_loss(coverage, truth)

    @torch.no_grad()
    def meet(self, faces: Tensor) -> None:
        """Take uncovered faces (B, 3, H, W) into the mean from which the canvas starts."""
        small = (self.read(faces) + 1) / 2
        self.faces_met += len(faces)
        self.mean += (small.mean(0) - self.mean) * (len(faces) / self.faces_met)

    def _encode(self, read: Tensor) -> list[State]:
        inputs: tuple[Tensor, ...] = (
            read_windows(read, self.grid, self.window),
            read_wide_windows(read, self.grid, self.window),
        )
        states: list[State] = []
        for index, layer in enumerate(self.encoder):
            seen = layer(*inputs)
            inputs = (seen.hidden,)
            if self.summary is None:
                states.append((seen.hidden[:, -1, -1], seen.cell[:, -1, -1]))
            else:
                hidden, cell = self.summary[index](seen.hidden.flatten(1)).chunk(2, dim=1)
                states.append((hidden.tanh(), cell))
        return states


def _resized(canvas: Tensor, images: Tensor) -> Tensor:
    size = images.shape[2:]
    if canvas.shape[2:] == size:
        return canvas
    return F.interpolate(canvas, size=size, mode="bilinear", align_corners=False)


def _pair(name: str, value: Sequence[int]) -> tuple[int, int]:
    if len(value) != 2 or min(value) < 1:
        raise occmask.OptionError(f"restorer 'rla': {name} is two whole numbers of at least 1, not {value!r}")
    return int(value[0]), int(value[1])
