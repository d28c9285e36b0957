"""What it costs to compare what both faces show: fused scores beside plain cosines, and the head beside its trunk.

The bars: fused scores of 1,000 probes with 100,000 faces in at most 40 times the time of plain cosines, and a head that
takes at most 5 % of a ResNet-50 trunk's time; as "x as fast", at least 0.025 and at least 20.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

import occmask

from .groups import Contender, Group
from .measure import Run
from .published import randomise
from .record import Row

PROBES = 1000
TEMPLATES = (128, 42), (512, 49)  # D and P of the templates of a tiny model, and of a ResNet at 112 x 112
HELD = 20_000  # templates that are in memory at once; a larger gallery is these again, which costs the same
SHARE = 0.5
LIMIT = 2e-6  # of a score, which lies in [-1, 1]


def measure(*, gallery: int, rounds: int, device: str = "cpu") -> Iterator[Row]:
    """Rows of both sizes of template."""
    for width, places in TEMPLATES:
        yield from _measure_scores(width, places, gallery=gallery, rounds=rounds, device=device)


def _measure_scores(width: int, places: int, *, gallery: int, rounds: int, device: str) -> list[Row]:
    matcher = occmask.MATCHERS.build("fused")
    a = matcher.prepare(_templates(PROBES, width, places, seed=0, device=device))
    b = matcher.prepare(_templates(min(gallery, HELD), width, places, seed=1, device=device))
    whole = torch.cat([b.unit] * -(-gallery // len(b.unit)))[:gallery]
    out = a.unit.new_empty(PROBES, gallery)

    def by_blocks(scores: Callable[[occmask.Prepared, occmask.Prepared], Tensor]) -> Run:
        def run() -> object:
            for start in range(0, gallery, len(b.unit)):
                n = min(len(b.unit), gallery - start)
                out[:, start : start + n] = scores(a, _first(b, n))
            return out

        return run

    part = _first(a, 200), _first(b, 200)
    truth = matcher.scores(*(occmask.Prepared(*(t.double() for t in x if t is not None)) for x in part))
    forms = {"fused": matcher.scores, "fused, as written": as_written}
    group = Group(
        table="matching",
        case=f"{PROBES:,} x {gallery:,}, D={width} P={places}",
        part="scores",
        reference="plain cosine",
        ours=("fused",),
        flops=2.0 * PROBES * gallery * (width * (1 + places) + places),
    )
    contenders = [Contender(name="plain cosine", run=lambda: a.unit @ whole.T, measures_memory=False)]
    for name, scores in forms.items():
        error = {"score": float((scores(*part).double() - truth).abs().max())}
        about = {"error": error, "limit": LIMIT}
        contenders.append(Contender(name=name, run=by_blocks(scores), about=about, measures_memory=False))
    with torch.inference_mode():
        return group.measure(contenders, device=device, rounds=rounds, memory=False)


def _first(prepared: occmask.Prepared, count: int) -> occmask.Prepared:
    return occmask.Prepared(*(tensor[:count] for tensor in prepared if tensor is not None))


def as_written(a: occmask.Prepared, b: occmask.Prepared) -> Tensor:
    """The formula: three products, a division and a mean, each over the whole answer."""
    assert a.parts is not None
    assert b.parts is not None
    assert a.visible is not None
    assert b.visible is not None
    parts = (a.parts.flatten(1) @ b.parts.flatten(1).T).div_(a.visible @ b.visible.T)
    return (a.unit @ b.unit.T).mul_(1 - SHARE).add_(parts, alpha=SHARE)


def measure_head(*, batch: int, rounds: int, device: str = "cpu") -> list[Row]:
    """The occupancy head alone, on maps that are there already, beside the trunk alone; and what is in the head."""
    model = occmask.attach(randomise(occmask.build("baseline_r50"), seed=0), "occupancy").to(device)
    height, width = model.config.image_size
    images = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0)).to(device) * 2 - 1
    with torch.inference_mode():
        maps = model.backbone(images)
        head = model.head
        assert head is not None
        group = Group(
            table="matching",
            case=f"occupancy head of baseline_r50, batch {batch}",
            part="forward",
            reference="trunk",
            ours=("head",),
        )
        contenders = [
            Contender(name="trunk", run=lambda: model.backbone(images), measures_memory=False),
            Contender(name="head", run=lambda: head(maps), measures_memory=False),
        ]
        return group.measure(contenders, device=device, rounds=rounds, warm_up=2, memory=False)


def _templates(count: int, width: int, places: int, *, seed: int, device: str) -> occmask.Template:
    draw = torch.Generator().manual_seed(seed)
    parts = torch.randn(count, places, width, generator=draw).to(device)
    visible = torch.rand(count, places, generator=draw).to(device)
    return occmask.Template(parts.sum(1), parts, visible, (places, 1))
