"""Template of a matcher."""

from __future__ import annotations

from .template import Template

MATCHER = Template(
    what="a matcher that trusts the better half of the places two faces show",
    suffix="Matcher",
    entry_points=(("occmask.matchers", "$package:$Class"),),
    source='''"""A matcher for occmask."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

import occmask


class $Class:
    """The cosine of two faces, each made of the places that it shows best.

    `share`: of the places of a face that count, above 0 and at most 1.
    """

    def __init__(self, *, share: float = 0.5) -> None:
        if not 0 < share <= 1:
            raise occmask.OptionError(f"matcher '$component': share lies in (0, 1], not {share!r}")
        self.share = share

    def prepare(self, template: occmask.Template) -> occmask.Prepared:
        """What is kept of a gallery; templates without parts are compared by their embeddings."""
        embedding = template.embedding
        if template.parts is not None and template.visible is not None:
            count = max(1, round(self.share * template.visible.shape[1]))
            best = template.visible.topk(count, dim=1).indices
            embedding = template.parts.gather(1, best[..., None].expand(-1, -1, embedding.shape[1])).sum(1)
        return occmask.Prepared(F.normalize(embedding, dim=1))

    def scores(self, a: occmask.Prepared, b: occmask.Prepared) -> Tensor:  # (A, B)
        return a.unit @ b.unit.T

    def pairs(self, a: occmask.Prepared, b: occmask.Prepared) -> Tensor:  # (N,)
        return (a.unit * b.unit).sum(1)
''',
    tests='''"""The matcher keeps the protocol, and looks away from what is covered."""

from __future__ import annotations

import pytest
import torch

import occmask
from occmask.testing import check_matcher


def test_the_matcher_keeps_the_protocol() -> None:
    check_matcher("$component")


def test_what_is_covered_does_not_count() -> None:
    torch.manual_seed(0)
    parts = torch.randn(3, 4, 8)
    face = occmask.Template(parts.sum(1), parts, torch.tensor([[1.0, 0.9, 0.8, 0.2]] * 3), (2, 2))
    spoilt = parts.clone()
    spoilt[:, 3] = 100.0
    covered = occmask.Template(spoilt.sum(1), spoilt, face.visible, (2, 2))
    scores = occmask.match(face, covered, matcher=occmask.Spec("$component", share=0.75))
    assert torch.allclose(scores.diagonal(), torch.ones(3), atol=1e-5)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(occmask.OptionError, match="share lies in"):
        occmask.MATCHERS.build(occmask.Spec("$component", share=0.0))
''',
    use="""```sh
occmask evaluate WEIGHTS FACES --matcher $component
```""",
)
