"""The `mfr` protocol: masked faces against unmasked ones, all pairs, as the masked face recognition challenge does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from ..devices import usable_device
from ..evaluation.bootstrap import Bootstrap
from ..evaluation.checks import check_whole
from ..evaluation.far import check_fars
from ..evaluation.metrics import IntArray
from ..evaluation.outcomes import Comparison
from ..evaluation.pair_space import PairSpace
from ..evaluation.streaming import (
    MAX_TAIL,
    ScoredIndices,
    StreamedVerification,
    check_resolvable_pairs,
    stream_verification,
)
from ..evaluation.tiles import BLOCK, check_block
from ..matching.rows import COSINE, RowMatcher
from .embedding import check_batch_size, embed_faces
from .fingerprint import joint_fingerprint
from .inputs import Embedder, ProbesAndGallery
from .people import about_same_photographs, joint_labels, same_photographs
from .result import Result
from .versions import computed_with

_GROUP = "mask-to-nonmask"


class MaskedFaceVerification:
    """TAR at FAR over all pairs of a masked probe and an unmasked gallery picture, by cosine similarity.

    The mask track of the ICCV 2021 masked face recognition challenge, InsightFace track: FAR 1e-4, no flip.  Scores
    stream, so its 97 million impostor pairs need no more memory than the embeddings and a few tiles.  `fars`: where
    the TAR is measured, each exactly.  `exclude_same_name` leaves out pairs of one person whose pictures have one name
    (`same_photographs`): a drawn mask and the photograph it was drawn on.  `flip` adds
    the embedding of the mirrored picture.  Intervals resample people and hold `confidence` of `resamples` draws by
    `seed`.  `batch_size` pictures are embedded at once; `block` (pictures a side of a tile of scores) and `device` say
    how scores are computed; `max_tail`: impostor pairs that may be held (`stream_verification`).
    """

    def __init__(
        self,
        *,
        fars: Sequence[float] = (1e-4,),
        flip: bool = False,
        exclude_same_name: bool = False,
        confidence: float = 0.95,
        resamples: int = 200,
        seed: int = 0,
        batch_size: int = 128,
        block: int = BLOCK,
        device: str = "cpu",
        max_tail: int = MAX_TAIL,
    ):
        check_block(block)
        check_whole("max_tail", max_tail, least=1, usual=MAX_TAIL)
        self.fars, self.flip, self.exclude_same_name = check_fars(fars) or (), flip, exclude_same_name
        self.batch_size, self.max_tail = check_batch_size(batch_size), max_tail
        self.block, self.device = block, usable_device(device)
        self.bootstrap = Bootstrap(confidence=confidence, resamples=resamples, seed=seed)

    def __call__(self, embed: Embedder, data: ProbesAndGallery, *, matcher: RowMatcher = COSINE) -> Result:
        """Embed masked probes and unmasked gallery, people matched by name, and measure; `matcher` compares the rows.

        Raises `ProtocolError` before embedding for one person only, no genuine or no impostor pair, and a FAR at which
        fewer than 10 impostors would pass.
        """
        names, (probe_label, gallery_label) = joint_labels(data.probes, data.gallery)
        same = same_photographs(data.probes, probe_label, data.gallery, gallery_label)
        excluded = same if self.exclude_same_name else None
        check_resolvable_pairs(PairSpace(probe_label, gallery_label, excluded), self.fars)
        masked, plain = (
            embed_faces(embed, faces, batch_size=self.batch_size, flip=self.flip, matcher=matcher)
            for faces in (data.probes, data.gallery)
        )
        found = stream_verification(
            masked.embedding,
            probe_label,
            plain.embedding,
            gallery_label,
            fars=self.fars,
            bootstrap=self.bootstrap,
            excluded=excluded,
            block=self.block,
            device=self.device,
            max_tail=self.max_tail,
            score=None if matcher is COSINE else matcher.tile,
        )
        return Result(
            protocol="mfr",
            settings={
                "fars": list(self.fars),
                "flip": self.flip,
                "exclude_same_name": self.exclude_same_name,
                **asdict(self.bootstrap),
                "batch_size": self.batch_size,
                "matcher": matcher.setting,
            },
            data={
                "name": "mfr",
                "fingerprint": joint_fingerprint(masked.fingerprint, plain.fingerprint),
                "pictures": len(data.probes) + len(data.gallery),
                "people": len(names),
                "genuine": found.num_genuine,
                "impostor": found.num_impostor,
            },
            figures={_GROUP: found.estimates},
            draws={_GROUP: found.draws},
            curves={
                _GROUP: {"roc": found.roc, "genuine": found.genuine_histogram, "impostor": found.impostor_histogram}
            },
            worst=(*_named(data, found.lowest_genuine, True), *_named(data, found.highest_impostor, False)),
            notes=(*_notes(found), *self._about_names(same, len(data.probes))),
            versions=computed_with(),
        )

    def _about_names(self, same: IntArray, num_probes: int) -> list[str]:
        if self.exclude_same_name:
            return [f"{same.shape[1]} pairs of one person whose pictures have one name were left out"]
        return [
            f"{note}; exclude_same_name leaves these pairs out" for note in about_same_photographs(same, num_probes)
        ]


def _named(data: ProbesAndGallery, pairs: ScoredIndices, same: bool) -> list[Comparison]:
    return [
        Comparison(data.probes.name(int(i)), data.gallery.name(int(j)), float(score), same)
        for i, j, score in zip(*pairs, strict=True)
    ]


def _notes(found: StreamedVerification) -> list[str]:
    notes = [*found.notes]
    notes += [
        f"the threshold of FAR {far:g} is {threshold:.6f}; scores above it are accepted"
        for far, threshold in found.threshold.items()
    ]
    if "auc" not in found.estimates:
        notes += [
            f"{name} {figure.value:.6f}, read from a histogram of all pairs (off by at most {figure.error:.1g}), has "
            "no interval"
            for name, figure in (("AUC", found.auc_within), ("EER", found.eer_within))
        ]
    return notes
