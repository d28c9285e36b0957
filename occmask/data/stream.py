"""`FaceStream`: an endless, seeded, resumable sequence of training samples, whatever the number of workers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import DataError, OptionError
from ..images.input_spec import InputSpec
from ..images.pixels import Pixels, to_tensor
from ..occluders.occlude import Occlusions, clean, mirror
from ..shapes import FaceBatch, OcclusionTruth
from .faces import FaceSet
from .variation import relit, warped

RELIT = 0.5  # of the samples, where faces are lit otherwise: an ordinary picture must not come to look like a cover


class FaceStream(Dataset[FaceBatch]):
    """A map-style data set over positions 0 .. length - 1 of an endless shuffled pass over `faces`.

    Position p is sample `permutation(seed, epoch)[p % n]` of epoch `p // n`, and all its randomness
    comes from (seed, epoch, sample): the same position has the same bytes in any process, in any order
    and after any resumption.  An item is a `FaceBatch` without the batch axis: image (3, H, W) in
    [-1, 1], label (), truth.box (4,), truth.covered (H, W).

    `occlusion` covers faces (None: all clean).  `flip` mirrors half of the samples.  `jitter` varies the face's
    contrast by up to that share and its brightness by half of it; `shift` moves it by up to that many pixels,
    repeating its edge; `warp` turns and scales it, and `relight` lights half of the finished pictures otherwise, covers
    included, as `data.variation` says.
    `spec` is the model's (None: RGB in [-1, 1]).  `with_clean` adds `clean` (3, H, W), the same
    face before it was covered.  Raises `OptionError` for a value out of range,
    `DataError` for an empty set, and, on reading, for a file that can no longer be read.
    """

    def __init__(
        self,
        faces: FaceSet,
        *,
        seed: int,
        length: int,
        occlusion: Occlusions | None = None,
        flip: bool = True,
        jitter: float = 0.0,
        shift: int = 0,
        warp: float = 0.0,
        relight: float = 0.0,
        spec: InputSpec | None = None,
        with_clean: bool = False,
    ):
        if not 0 <= seed < 2**32:
            raise OptionError(f"seed is a whole number in 0 .. 2**32 - 1, not {seed!r}")
        if length < 0 or not 0 <= jitter < 1 or not 0 <= shift < min(faces.image_size):
            raise OptionError(
                f"length is at least 0, jitter in [0, 1) and shift in pixels less than the image; "
                f"not length={length!r}, jitter={jitter!r}, shift={shift!r}"
            )
        if not len(faces):
            raise DataError("an empty set of faces cannot be trained on")
        self.faces, self.seed, self.length = faces, seed, length
        self.occlusion, self.flip, self.jitter, self.shift = occlusion, flip, jitter, shift
        for name, value in (("warp", warp), ("relight", relight)):
            if not 0 <= value <= 1:
                raise OptionError(f"{name} lies in [0, 1], not {value!r}")
        self.warp, self.relight = warp, relight
        self.spec, self.with_clean = spec, with_clean
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, position: int) -> FaceBatch:
        if not 0 <= position < self.length:
            raise IndexError(f"position {position} is not in 0 .. {self.length - 1}")
        epoch, place = divmod(int(position), len(self.faces))
        sample = int(self._permutation(epoch)[place])
        rng = np.random.default_rng((self.seed, epoch, sample))
        face = clean(self._augment(self.faces.image(sample), rng))
        uncovered = face
        if self.occlusion is not None:
            face = self.occlusion(face.image, rng, grey=self.faces.grey)
        if self.relight and rng.random() < RELIT:
            light = int(rng.integers(2**32))  # that falls on the face and on what covers it alike
            face, uncovered = (
                one._replace(image=relit(one.image, np.random.default_rng(light), strength=self.relight))
                for one in (face, uncovered)
            )
        if self.flip and rng.random() < 0.5:
            face, uncovered = mirror(face), mirror(uncovered)
        return FaceBatch(
            image=to_tensor(face.image[None], self.spec)[0],
            label=torch.tensor(int(self.faces.labels[sample])),
            truth=OcclusionTruth(torch.from_numpy(face.box), torch.from_numpy(face.covered)),
            clean=to_tensor(uncovered.image[None], self.spec)[0] if self.with_clean else None,
        )

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            # (seed, epoch) alone would be sample 0's own generator: NumPy pads seeds with zeros
            rng = np.random.default_rng((self.seed, epoch, 0, 1))
            self._epoch, self._order = epoch, rng.permutation(len(self.faces))
        return self._order

    def _augment(self, image: Pixels, rng: Generator) -> Pixels:
        if self.shift:
            dx, dy = (int(d) for d in rng.integers(-self.shift, self.shift + 1, 2))
            padded = np.pad(image, ((self.shift, self.shift), (self.shift, self.shift), (0, 0)), mode="edge")
            height, width = image.shape[:2]
            image = padded[self.shift + dy :, self.shift + dx :][:height, :width]
        if self.jitter:
            contrast = 1 + self.jitter * rng.uniform(-1, 1)
            brightness = 127.5 * (1 + self.jitter * rng.uniform(-1, 1))
            levels = (np.arange(256) - 127.5) * contrast + brightness
            image = np.clip(np.rint(levels), 0, 255).astype(np.uint8)[image]
        if self.warp:
            image = warped(image, rng, amount=self.warp)
        return image


def collate(items: Sequence[FaceBatch]) -> FaceBatch:
    """Samples to one batch: image and clean (B, 3, H, W), label (B,), truth.box (B, 4), truth.covered (B, H, W)."""
    uncovered = [item.clean for item in items if item.clean is not None]
    boxes: list[Tensor] = []
    covered: list[Tensor] = []
    for item in items:
        assert item.truth is not None
        assert item.truth.covered is not None
        boxes.append(item.truth.box)
        covered.append(item.truth.covered)
    return FaceBatch(
        image=torch.stack([item.image for item in items]),
        label=torch.stack([item.label for item in items]),
        truth=OcclusionTruth(torch.stack(boxes), torch.stack(covered)),
        clean=torch.stack(uncovered) if uncovered else None,
    )
