"""Time, memory and error of the margin loss, ours and others', at the sizes of face recognition.

On a CPU the floor is measured: the bare matrix products of the pass, into memory that is there already.  On a GPU it is
computed (`floors`).  The GPU part is not yet run on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import floors
from .competitors import Competitor, Prepared, everyone
from .groups import Contender, Group
from .measure import keeping
from .record import Row
from .scenes import MARGIN, Scene, Truth, bare_truth, margin_truth, scene

PRODUCTS = "bare products"
COSINE = 0.5  # of an embedding with its class, halfway through a training
LARGEST_CHECKED = 100_000  # classes: float64 takes too long for more
LARGEST_FOR_LIGER = 1_000_000  # classes: beyond, its rows go one at a time, for seconds a step
LARGEST_GRAPH = 512  # rows: with more, starting kernels is no part of the time


class Case(NamedTuple):
    rows: int
    classes: int
    dim: int = 512
    rounds: int = 7

    @property
    def name(self) -> str:
        return f"N={self.rows} C={self.classes} D={self.dim}"


CPU = (Case(128, 10_572, rounds=20), Case(512, 10_572, rounds=9), Case(256, 93_431))
CPU_QUICK = (Case(128, 10_572, rounds=5),)
CUDA = tuple(
    Case(rows, classes, rounds=20)
    for rows, classes in (
        (128, 10_572),
        (512, 10_572),
        (128, 93_431),
        (512, 93_431),
        (1024, 93_431),
        (4096, 93_431),
        (1024, 360_232),
        (1024, 2_000_000),
    )
)
CUDA_QUICK = (Case(128, 10_572), Case(1024, 93_431))


def cases(device: str, *, quick: bool) -> tuple[Case, ...]:
    if device == "cuda":
        return CUDA_QUICK if quick else CUDA
    return CPU_QUICK if quick else CPU


def reference(device: str) -> str:
    """Whom the tables compare with: the formulation in use on that device."""
    return "insightface style" if device == "cuda" else "eager"


class Able(NamedTuple):
    """A competitor that ran once, and how wrong it was."""

    competitor: Competitor
    prepared: Prepared
    errors: dict[str, float]


def step(prepared: Prepared) -> tuple[Tensor, ...]:
    """Forward and backward: the loss and the gradients of embedding and weight."""
    loss = prepared.loss()
    return loss.detach(), *torch.autograd.grad(loss, prepared.leaves)


def forward(prepared: Prepared) -> tuple[Tensor]:
    with torch.no_grad():
        return (prepared.loss(),)


PARTS: dict[str, Callable[[Prepared], tuple[Tensor, ...]]] = {"forward": forward, "forward+backward": step}


def measure(case: Case, device: str) -> Iterator[Row]:
    """Who cannot run first, then a row for each part and implementation."""
    torch._dynamo.reset()  # it compiles a function for so many shapes only, and each case is another
    batch = scene(*case[:3], cosine=COSINE, device=device)
    # as hard without a margin as the other is with it; far from its class, for a loss of 1e-8 is all rounding
    without = scene(*case[:3], cosine=COSINE - MARGIN, device=device)
    batches = {True: batch, False: without}
    truth = {True: _truth(batch, margin_truth), False: _truth(without, bare_truth)}
    able: list[Able] = []
    for competitor in everyone(device):
        tried = attempt(competitor, batches[competitor.has_margin], truth[competitor.has_margin], device)
        if isinstance(tried, Able):
            able.append(tried)
        else:
            yield Row(table="margin", case=case.name, part="", implementation=competitor.name, note=tried)
    del truth, batches, without
    for part in PARTS:
        yield from _measure_part(part, case, batch, able, device)


def _truth(batch: Scene, formula: Callable[[Scene], Truth]) -> Truth | None:
    return formula(batch) if batch.weight.shape[0] <= LARGEST_CHECKED else None


def attempt(competitor: Competitor, batch: Scene, truth: Truth | None, device: str) -> Able | str:
    """One step of it, or in words why there is none. What goes wrong in our own implementation is raised."""
    if competitor.missing:
        return competitor.missing
    if competitor.name == "liger" and batch.weight.shape[0] > LARGEST_FOR_LIGER:
        return "left out: it takes the rows one at a time here, seconds a step"
    try:
        prepared = competitor.prepare(batch)
        loss, *gradients = step(prepared)
    except torch.OutOfMemoryError:
        return "out of memory"
    except Exception as error:
        if competitor.is_ours:
            raise
        first, *_ = str(error).splitlines() or [type(error).__name__]
        return f"does not run on {device}: {first[:60]}"
    return Able(competitor, prepared, truth.errors(loss, tuple(gradients)) if truth else {})


def _measure_part(part: str, case: Case, batch: Scene, able: list[Able], device: str) -> list[Row]:
    backward = part != "forward"
    flops = floors.product_flops(*case[:3], backward=backward)
    contenders: list[Contender] = []
    unable: list[Row] = []
    for competitor, prepared, errors in able:
        about: dict[str, Any] = {"error": errors if backward else {k: v for k, v in errors.items() if k == "loss"}}
        about |= {"note": competitor.note} | _floor(case, competitor, device, backward=backward)
        contenders.append(Contender(name=competitor.name, run=keeping(PARTS[part], prepared), about=about))
        if device == "cuda" and competitor.is_ours and backward and case.rows <= LARGEST_GRAPH:
            name = f"{competitor.name}, graph"
            try:
                replay = graph_of(keeping(step, prepared))
            except RuntimeError as error:
                note = f"no CUDA graph: {str(error).splitlines()[0][:60]}"
                unable.append(Row(table="margin", case=case.name, part=part, implementation=name, note=note))
            else:
                contenders.append(Contender(name=name, run=replay, about=about, measures_memory=False))
    if device == "cpu":
        products = bare_products(batch, backward=backward)
        contenders.append(Contender(name=PRODUCTS, run=products, about={"note": "the floor"}, measures_memory=False))
    group = Group(
        table="margin",
        case=case.name,
        part=part,
        reference=reference(device),
        ours=[c.name for c in contenders if c.name.startswith("ours")],
        floor=PRODUCTS if device == "cpu" else None,
        flops=flops,
    )
    return unable + group.measure(contenders, device=device, rounds=case.rounds, warm_up=0 if device == "cpu" else 3)


def _floor(case: Case, competitor: Competitor, device: str, *, backward: bool) -> dict[str, float]:
    if device != "cuda":
        return {}
    precision = competitor.precision
    needed = floors.steps(*case[:3], precision=precision, cached=competitor.cached, backward=backward)
    return {"floor_seconds": floors.floor_seconds(needed, precision)}


def bare_products(batch: Scene, *, backward: bool) -> Callable[[], None]:
    """The products of one pass, dense, into buffers made beforehand; in chunks that fit the caches it can go faster."""
    embedding, weight = (t.detach() for t in batch.leaves)
    cosines = torch.empty(len(embedding), len(weight))
    gradients = torch.empty_like(embedding), torch.empty_like(weight)

    def run() -> None:
        torch.mm(embedding, weight.t(), out=cosines)
        if backward:
            torch.mm(cosines, weight, out=gradients[0])
            torch.mm(cosines.t(), embedding, out=gradients[1])

    return run


def graph_of(run: Callable[[], object]) -> Callable[[], None]:
    """`run` as a CUDA graph, which starts all its kernels at once."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay
