"""What the template of one kind of plug-in consists of; `$name`s are filled in by `string.Template`."""

from __future__ import annotations

from typing import NamedTuple


class Template(NamedTuple):
    """A small but real component with its tests.

    In every text stand `$distribution`, `$package`, `$component` (the name in the registry), `$identifier` (the same
    for Python) and `$Class`.
    """

    what: str  # "an occlusion head: ..."; in the README and in the distribution's description
    suffix: str  # of the class: "Head"
    entry_points: tuple[tuple[str, str], ...]  # (group, what it leads to)
    source: str
    tests: str
    use: str  # a block of Python or of the shell for the README, fence included
    module: str = "__init__"  # of the package, where the component stands


# A test that a part which sees occlusion learns in a model; `$setting` is what build() is told.
LEARNS = """

def test_it_learns_what_is_covered() -> None:
    torch.manual_seed(0)
    model = occmask.build("from_tiny", $setting)
    covered = torch.zeros(8, 112, 96, dtype=torch.bool)
    covered[:4, 56:, 24:72] = True  # the lower middle of every second face
    images = (torch.rand(8, 3, 112, 96) * 2 - 1).masked_fill(covered[:, None], -1.0)
    truth = occmask.OcclusionTruth(torch.tensor([[0.25, 0.5, 0.75, 1.0]] * 4 + [[0.0] * 4] * 4), covered)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        loss = model.occlusion_loss(model(images), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
"""

# A test that faces are told apart by what was built with it; `$setting` and `$margin` are what the two builders get.
RECOGNISES = """

def test_a_model_with_it_learns_to_tell_faces_apart() -> None:
    torch.manual_seed(0)
    model = occmask.build("from_tiny", $setting)
    loss = occmask.build_loss($margin, embedding_dim=model.width, num_classes=4)
    images, label = torch.rand(8, 3, 112, 96) * 2 - 1, torch.arange(8) % 4
    optimiser = torch.optim.Adam([*model.parameters(), *loss.parameters()], lr=1e-3)
    losses = []
    for _ in range(12):
        step = loss(model(images).embedding, label)
        optimiser.zero_grad()
        step.backward()
        optimiser.step()
        losses.append(step.item())
    assert losses[-1] < losses[0]
"""
