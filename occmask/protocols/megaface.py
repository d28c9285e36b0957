"""The `megaface` protocol: is a person's other picture found among distractors who are nobody's mate?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import torch

from ..devices import usable_device
from ..errors import ProtocolError
from ..evaluation.bootstrap import Bootstrap
from ..evaluation.metrics import FloatArray, IntArray
from ..evaluation.outcomes import Comparison, Curve, Trials
from ..evaluation.pair_space import PairIndices, PairSpace
from ..evaluation.ranking import check_ranks
from ..evaluation.tiles import BLOCK, HighestScores, check_block, full_precision, scores_at
from ..matching.rows import COSINE, RowMatcher
from .embedding import EmbeddedBatches, check_batch_size, embed_faces
from .fingerprint import joint_fingerprint
from .inputs import Embedder, Faces
from .people import about_same_photographs, joint_labels, same_photographs, some_names
from .result import Result
from .versions import computed_with

_WORST = 10


class WithDistractors(NamedTuple):
    """Probes, pictures of the same people to find (people are matched by name), and pictures of other people.

    In MegaFace probes and gallery are one set, FaceScrub: give the same object twice, and no picture meets itself.
    """

    probes: Faces
    gallery: Faces
    distractors: Faces


class MegaFaceIdentification:
    """Rank-k rates over all pairs of a probe and a gallery picture of its person, hidden among all distractors.

    For every such pair the gallery is that one picture and the distractors; a distractor that ties with the picture
    comes before it.  `ranks`: the k of "rank1", "rank5".  `flip` adds the embedding of the mirrored picture, as FROM's
    evaluation does.  Intervals resample the probes' people; the distractors stay; they hold `confidence` of
    `resamples` draws by `seed`.  Memory: the embeddings of probes, gallery and `block` distractors, who are not kept,
    `batch_size` of them embedded at once, and tiles of `block` x `block` scores, computed on `device`.  Source:
    Kemelmacher-Shlizerman et al., "The MegaFace Benchmark" (CVPR 2016).
    """

    def __init__(
        self,
        *,
        ranks: Sequence[int] = (1, 5),
        flip: bool = False,
        confidence: float = 0.95,
        resamples: int = 200,
        seed: int = 0,
        batch_size: int = 128,
        block: int = BLOCK,
        device: str = "cpu",
    ):
        check_block(block)
        self.ranks, self.flip, self.batch_size = check_ranks(ranks), flip, check_batch_size(batch_size)
        self.block, self.device = block, usable_device(device)
        self.bootstrap = Bootstrap(confidence=confidence, resamples=resamples, seed=seed)

    def __call__(self, embed: Embedder, data: WithDistractors, *, matcher: RowMatcher = COSINE) -> Result:
        """Embed and measure; `matcher` compares the rows that `embed` returns.

        Raises `ProtocolError` when no probe has a mate, or when a distractor shows a person of the probes."""
        one_set = data.probes is data.gallery
        names, (probe_label, gallery_label, other_label) = joint_labels(*data)
        shared = np.intersect1d(other_label, np.concatenate([probe_label, gallery_label]))
        if len(shared):
            raise ProtocolError(
                f"distractors show {some_names(names[i] for i in shared)}, who are among the probes or the gallery; a "
                "distractor is nobody's mate: leave these pictures out"
            )
        itself = np.stack([np.arange(len(data.probes))] * 2) if one_set else None
        pairs = PairSpace(probe_label, gallery_label, itself).genuine
        if not len(pairs.left):
            raise ProtocolError("no probe has another picture of its person in the gallery; people are matched by name")
        sets = {id(faces): faces for faces in (data.probes, data.gallery)}
        embedded = {
            key: embed_faces(embed, faces, batch_size=self.batch_size, flip=self.flip, matcher=matcher)
            for key, faces in sets.items()
        }
        rows = [torch.from_numpy(embedded[id(faces)].embedding).to(self.device) for faces in data[:2]]
        others = EmbeddedBatches(embed, data.distractors, batch_size=self.batch_size, flip=self.flip, matcher=matcher)
        most = max(self.ranks)
        with full_precision(), torch.inference_mode():
            mate = scores_at(rows[0], rows[1], pairs.left, pairs.right, block=self.block, score=matcher.tile)
            found = HighestScores(rows[0], count=most, block=self.block, score=matcher.tile)
            for block in others.in_blocks(self.block):
                found.add(torch.from_numpy(block).to(self.device))
        highest = found.scores
        fingerprints = [*(embedded[id(faces)].fingerprint for faces in data[:2]), others.fingerprint]
        rank = 1 + (highest[pairs.left] >= mate[:, None]).sum(axis=1)  # most + 1: beyond all ranks asked for
        person = probe_label[pairs.left]
        hits = {f"rank{k}": (rank <= k).astype(np.float64) for k in self.ranks}
        reached = np.arange(1, most + 1)
        same = same_photographs(data.probes, probe_label, data.gallery, gallery_label)
        return Result(
            protocol="megaface",
            settings={
                "ranks": list(self.ranks),
                "flip": self.flip,
                **asdict(self.bootstrap),
                "batch_size": self.batch_size,
                "matcher": matcher.setting,
            },
            data={
                "name": "megaface",
                "fingerprint": joint_fingerprint(*fingerprints),
                "pictures": sum(map(len, sets.values())) + len(data.distractors),
                "people": len(names),
                "pairs": len(rank),
                "distractors": len(data.distractors),
            },
            figures={"all": {key: self.bootstrap.mean(hit, person) for key, hit in hits.items()}},
            trials={"all": {key: Trials(person, hit) for key, hit in hits.items()}},
            curves={"all": {"cmc": Curve(reached.astype(np.float64), (rank[:, None] <= reached).mean(axis=0))}},
            worst=_worst(data, pairs, mate, highest[:, 0], found.first),
            notes=(
                ("probes and gallery are one set; no picture was compared with itself",)
                if one_set
                else tuple(about_same_photographs(same, len(probe_label)))
            ),
            versions=computed_with(),
        )


def _worst(
    data: WithDistractors, pairs: PairIndices, mate: FloatArray, highest: FloatArray, nearest: IntArray
) -> tuple[Comparison, ...]:
    """The pairs scored lowest, and the probes most like a distractor, their `nearest`."""
    lowest = np.argsort(mate, kind="stable")[:_WORST].tolist()
    found = [
        Comparison(data.probes.name(int(pairs.left[p])), data.gallery.name(int(pairs.right[p])), float(mate[p]), True)
        for p in lowest
    ]
    for i in np.argsort(-highest, kind="stable")[:_WORST].tolist():
        distractor = data.distractors.name(int(nearest[i]))
        found.append(Comparison(data.probes.name(i), distractor, float(highest[i]), False))
    return tuple(found)
