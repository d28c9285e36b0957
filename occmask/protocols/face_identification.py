"""The `identification` protocol: who of the gallery is this, and is it anybody of the gallery at all?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import torch

from ..devices import usable_device
from ..errors import ProtocolError
from ..evaluation.bootstrap import Bootstrap
from ..evaluation.far import check_fars
from ..evaluation.figure_names import at_far
from ..evaluation.metrics import Estimate, FloatArray, IntArray
from ..evaluation.open_set import check_strangers, open_set
from ..evaluation.outcomes import Comparison, Curve, Trials
from ..evaluation.ranking import ProbeRanks, check_ranks, cmc_curve, rank_probes
from ..evaluation.tiles import BLOCK, check_block
from ..matching.rows import COSINE, RowMatcher
from .embedding import EmbeddedFaces, check_batch_size, embed_faces
from .fingerprint import joint_fingerprint
from .inputs import Embedder, ProbesAndGallery
from .people import about_same_photographs, joint_labels, same_photographs, some_names
from .result import Result
from .versions import computed_with

GROUP = "all"  # what the only group is called
_WORST = 10


class FaceIdentification:
    """Rank-k rates and CMC of probes whose person is in the gallery; with `fars`, DIR at FAR over all probes.

    A person's score is the cosine similarity of their best gallery picture; ties count against the probe.  `ranks`:
    the k of the rank-k rates ("rank1", "rank5").  `fars`: false alarm rates of open-set identification ("dir@1e-2"),
    for which some probes must show people the gallery does not have; without them nobody may.  `flip` adds the
    embedding of the mirrored picture to every picture's.  Intervals resample the probes' people; the gallery stays.
    They hold `confidence` of `resamples` draws by `seed`; `batch_size` pictures are embedded at once.
    `block` (pictures a side of a tile of scores) and `device` say how scores are computed, not what they are.
    """

    def __init__(
        self,
        *,
        ranks: Sequence[int] = (1, 5),
        fars: Sequence[float] = (),
        flip: bool = False,
        confidence: float = 0.95,
        resamples: int = 200,
        seed: int = 0,
        batch_size: int = 128,
        block: int = BLOCK,
        device: str = "cpu",
    ):
        check_block(block)
        self.ranks, self.fars = check_ranks(ranks), check_fars(fars) or ()
        self.flip, self.batch_size = flip, check_batch_size(batch_size)
        self.block, self.device = block, usable_device(device)
        self.bootstrap = Bootstrap(confidence=confidence, resamples=resamples, seed=seed)

    def __call__(
        self,
        embed: Embedder,
        data: ProbesAndGallery | Mapping[str, ProbesAndGallery],
        *,
        matcher: RowMatcher = COSINE,
    ) -> Result:
        """Measure one set of probes ("all"), or several groups by name, such as sunglasses and scarf.

        `matcher` compares the rows that `embed` returns.  A gallery that several groups share is embedded once.  Raises
        `ProtocolError` before embedding for a gallery of one person, a probe whose person it lacks (without `fars`),
        and a FAR that the strangers do not resolve.
        """
        groups = {GROUP: data} if isinstance(data, ProbesAndGallery) else dict(data)
        if not groups:
            raise ProtocolError("there are no probes to identify; give at least one group")
        sets = {id(faces): faces for group in groups.values() for faces in (group.gallery, group.probes)}
        names, found_labels = joint_labels(*sets.values())
        labels = dict(zip(sets, found_labels, strict=True))
        for name, group in groups.items():
            self._check(name, labels[id(group.probes)], labels[id(group.gallery)], names)
        embedded = {
            key: embed_faces(embed, faces, batch_size=self.batch_size, flip=self.flip, matcher=matcher)
            for key, faces in sets.items()
        }
        figures: dict[str, dict[str, Estimate]] = {}
        trials: dict[str, dict[str, Trials]] = {}
        draws: dict[str, dict[str, FloatArray]] = {}
        curves: dict[str, dict[str, Curve]] = {}
        worst: dict[Comparison, None] = {}  # groups may share probes and gallery, and a pair is shown once
        notes: list[str] = []
        for name, group in groups.items():
            probe, gallery = (embedded[id(faces)] for faces in group)
            probe_label, gallery_label = (labels[id(faces)] for faces in group)
            ranks = rank_probes(
                gallery.embedding,
                gallery_label,
                probe.embedding,
                probe_label,
                block=self.block,
                device=self.device,
                score=None if matcher is COSINE else matcher.tile,
            )
            known = ranks.rank > 0
            hits = {f"rank{k}": (ranks.rank[known] <= k).astype(np.float64) for k in self.ranks}
            figures[name] = {key: self.bootstrap.mean(hit, probe_label[known]) for key, hit in hits.items()}
            trials[name] = {key: Trials(probe_label[known], hit) for key, hit in hits.items()}
            curves[name] = {"cmc": cmc_curve(ranks.rank[known], num_people=len(np.unique(gallery_label)))}
            if self.fars:
                detected = open_set(ranks, probe_label, fars=self.fars, bootstrap=self.bootstrap)
                figures[name] |= {at_far("dir", far): estimate for far, estimate in detected.dir.items()}
                draws[name] = {at_far("dir", far): drawn for far, drawn in detected.draws.items()}
                curves[name]["dir"] = detected.curve
                notes += [
                    f"{name}: {int((~known).sum())} of {len(known)} probes show people whom the gallery does not have; "
                    "rank-k rates and CMC are of the others"
                ]
            same = same_photographs(group.probes, probe_label, group.gallery, gallery_label)
            notes += [f"{name}: {note}" for note in about_same_photographs(same, len(group.probes))]
            worst |= dict.fromkeys(_worst(ranks, probe, gallery, probe_label, gallery_label, group, matcher))
        return Result(
            protocol="identification",
            settings={
                "ranks": list(self.ranks),
                "fars": list(self.fars),
                "flip": self.flip,
                **asdict(self.bootstrap),
                "batch_size": self.batch_size,
                "matcher": matcher.setting,
            },
            data={
                "name": "identification",
                "fingerprint": joint_fingerprint(
                    *(
                        part
                        for name, group in groups.items()
                        for part in (name, *(embedded[id(faces)].fingerprint for faces in group))
                    )
                ),
                "pictures": sum(len(faces) for faces in sets.values()),
                "people": len(names),
                "groups": {name: {"probes": len(g.probes), "gallery": len(g.gallery)} for name, g in groups.items()},
            },
            figures=figures,
            trials=trials,
            draws=draws,
            curves=curves,
            worst=(
                *sorted((c for c in worst if c.same), key=lambda c: c.score)[:_WORST],
                *sorted((c for c in worst if not c.same), key=lambda c: -c.score)[:_WORST],
            ),
            notes=tuple(notes),
            versions=computed_with(),
        )

    def _check(self, name: str, probe: IntArray, gallery: IntArray, people: Sequence[str]) -> None:
        if not len(probe) or not len(gallery):
            raise ProtocolError(
                f"group {name!r} has {len(probe)} probes and {len(gallery)} gallery pictures; both need some"
            )
        if len(np.unique(gallery)) < 2:
            raise ProtocolError(
                f"the gallery of {name!r} holds one person only; identification needs at least two to choose from"
            )
        known = np.isin(probe, gallery)
        if not known.any():
            raise ProtocolError(f"no probe of {name!r} shows a person of the gallery; people are matched by name")
        if self.fars:
            check_strangers(int((~known).sum()), self.fars)
        elif not known.all():
            missing = some_names(people[i] for i in np.unique(probe[~known]))
            raise ProtocolError(
                f"the gallery of {name!r} has no picture of {missing}, who appear among the probes; leave these probes "
                "out, or give fars=(1e-2,) to measure how often strangers raise an alarm"
            )


def _worst(
    ranks: ProbeRanks,
    probe: EmbeddedFaces,
    gallery: EmbeddedFaces,
    probe_label: IntArray,
    gallery_label: IntArray,
    group: ProbesAndGallery,
    matcher: RowMatcher,
) -> list[Comparison]:
    """The probes least like their own person's best picture, and those most like somebody else's."""
    lowest = np.argsort(np.where(ranks.rank > 0, ranks.own, np.inf), kind="stable")[:_WORST]
    highest = np.argsort(-ranks.other, kind="stable")[:_WORST]
    found = []
    for chosen, same in ((lowest, True), (highest, False)):
        rows = torch.from_numpy(probe.embedding[chosen]), torch.from_numpy(gallery.embedding)
        for i, row in zip(chosen.tolist(), matcher.tile(*rows).numpy(), strict=True):
            fits = (gallery_label == probe_label[i]) == same
            if not fits.any():
                continue
            score = np.where(fits, row, -np.inf)
            j = int(score.argmax())
            found.append(Comparison(group.probes.name(i), group.gallery.name(j), float(score[j]), same))
    return found
