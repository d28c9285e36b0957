"""Templates: parts that add up to the embedding, what is visible of them, and heads for existing recognisers."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import occmask
from occmask.models.face import FaceModel


def settled(name: str = "from_tiny", **changes: object) -> FaceModel:
    """A model whose BatchNorms and biases are not those of a fresh one."""
    torch.manual_seed(3)
    model = occmask.build(name, **{"template": "orl", **changes})
    model.train()
    for _ in range(3):
        model(faces(8))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) or hasattr(module, "map_shape"):
            for parameter in module.parameters(recurse=False):
                nn.init.normal_(parameter, 0.5, 0.2)
    return model.eval()


def faces(count: int, height: int = 112, width: int = 96) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(count)) * 2 - 1


@pytest.mark.parametrize(
    "changes",
    [
        {"head": None},
        {},
        {"mask_decoder": "spatial"},
        {"mask_decoder": "vector"},
        {"head__threshold": 0.5},
        {"head__threshold": 0.5, "mask_decoder": "vector"},
    ],
    ids=str,
)
def test_the_parts_of_a_face_add_up_to_its_embedding(changes: dict[str, object]) -> None:
    model = settled(**changes)
    with torch.no_grad():
        template = model.template(faces(3))
        embedding = model(faces(3)).embedding
    assert template.parts is not None
    assert template.parts.shape == (3, 42, 128)
    assert template.grid == (7, 6)
    torch.testing.assert_close(template.embedding, embedding)
    torch.testing.assert_close(template.parts.sum(1), embedding, rtol=1e-4, atol=1e-4)


def test_a_part_belongs_to_its_own_place_alone() -> None:
    model = settled(head=None)
    top = torch.randn(1, 128, 7, 6)
    changed = top.clone()
    changed[:, :, 2, 4] += 1
    with torch.no_grad():
        difference = (model.embedding.parts(changed) - model.embedding.parts(top)).abs().amax(2)[0]
    assert difference[2 * 6 + 4] > 1e-3
    difference[2 * 6 + 4] = 0
    assert difference.max() == 0


def test_parts_keep_their_places_in_a_channels_last_model() -> None:
    model = settled(head=None)
    with torch.no_grad():
        plain = model.template(faces(2)).parts
        last = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        permuted = last.template(faces(2).to(memory_format=torch.channels_last)).parts
    torch.testing.assert_close(plain, permuted, rtol=1e-4, atol=1e-4)


def test_a_place_at_its_means_adds_only_its_share_of_what_all_share() -> None:
    embedding = settled(head=None).embedding
    means = embedding.bn1.running_mean.clone()  # type: ignore[union-attr,operator]
    with torch.no_grad():
        parts = embedding.parts(means)[0]
    torch.testing.assert_close(parts, parts[:1].expand_as(parts), rtol=1e-3, atol=1e-5)


def test_parts_are_asked_for_in_evaluation_only() -> None:
    model = settled(head=None).train()
    with pytest.raises(occmask.OptionError, match=r"model\.eval\(\)"):
        model(faces(2), parts=True)


def test_without_a_head_nothing_is_known_of_what_is_visible() -> None:
    assert settled(head=None).template(faces(2)).visible is None


def test_what_is_visible_is_what_the_head_believes_is_not_covered() -> None:
    model = occmask.attach(settled(head=None))
    with torch.no_grad():
        template, answer = model.template(faces(2)), model.occlusion(faces(2))
    assert template.visible is not None
    assert answer.coverage is not None
    cells = answer.coverage.reshape(2, 7, 4, 6, 4).mean((2, 4)).flatten(1)
    torch.testing.assert_close(template.visible, 1 - cells)


def test_attaching_changes_no_embedding() -> None:
    for changes in ({"head": None}, {}, {"mask_decoder": "vector"}):
        model = settled(**changes)
        seeing = occmask.attach(model)
        with torch.no_grad():
            assert torch.equal(seeing(faces(2)).embedding, model(faces(2)).embedding)


def test_attaching_leaves_the_recogniser_alone() -> None:
    model = settled(head=None)
    before = copy.deepcopy(model.state_dict())
    seeing = occmask.attach(model)
    with torch.no_grad():
        for parameter in seeing.parameters():
            parameter.add_(1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_head_that_the_model_has_goes_on_cleaning_from_inside() -> None:
    model = settled()
    seeing = occmask.attach(model)
    assert seeing.config.head is not None
    assert seeing.config.head.name == "occupancy"
    assert seeing.config.head.options["gate"] == model.config.head
    with torch.no_grad():
        torch.testing.assert_close(seeing(faces(2)).mask, model(faces(2)).mask)


def test_an_attached_model_is_saved_and_read_back(tmp_path: pytest.TempPathFactory) -> None:
    seeing = occmask.attach(settled())
    path = f"{tmp_path}/seeing.safetensors"
    occmask.save_weights(seeing, path)
    again = occmask.load_model(path)
    with torch.no_grad():
        for one, other in zip(seeing.template(faces(2))[:3], again.template(faces(2))[:3], strict=True):
            assert torch.equal(one, other)


def test_attach_refuses_what_it_cannot_keep() -> None:
    with pytest.raises(occmask.OptionError, match="no option gate"):
        occmask.attach(settled(), "from")
    with pytest.raises(occmask.OptionError, match="optimized"):
        occmask.attach(occmask.optimize(settled(head=None)))
    with pytest.raises(occmask.OptionError, match="not a Linear"):
        occmask.attach(nn.Linear(1, 1))  # type: ignore[arg-type]


def test_an_optimized_model_has_no_parts_and_says_so() -> None:
    with pytest.raises(occmask.OptionError, match="no longer falls into parts"):
        occmask.optimize(settled(head=None)).template(faces(2))


def test_optimizing_drops_a_head_that_changes_no_embedding() -> None:
    seeing = occmask.attach(settled(head=None))
    fast = occmask.optimize(seeing)
    with torch.no_grad():
        torch.testing.assert_close(fast(faces(2)).embedding, seeing(faces(2)).embedding, rtol=1e-3, atol=1e-3)
    assert sum(p.numel() for p in fast.parameters()) < sum(p.numel() for p in seeing.parameters())


def test_the_head_learns_and_nothing_else_does() -> None:
    """On any faces, whoever they are: labels take no part."""
    model = settled(head=None)
    seeing = occmask.attach(model)
    pictures = occmask.load_faces("orl").select(np.arange(8)).in_memory()
    anybody = replace(pictures, labels=np.zeros(8, np.int64), people=("anybody",))
    before = copy.deepcopy(seeing.state_dict())
    summary = occmask.train_head(seeing, anybody, steps=3, batch_size=4, progress=False)
    assert summary.steps == 3
    for name, value in seeing.state_dict().items():
        if not name.startswith("head."):
            assert torch.equal(value, before[name]), name
    assert any(not torch.equal(value, before[name]) for name, value in seeing.state_dict().items())


def test_a_gate_inside_the_head_keeps_its_weights_while_the_head_learns() -> None:
    seeing = occmask.attach(settled())
    before = copy.deepcopy(seeing.state_dict())
    occmask.train_head(seeing, occmask.load_faces("orl").select(np.arange(8)).in_memory(), steps=2, progress=False)
    gate = [name for name in before if name.startswith("head.gate.")]
    assert gate
    assert all(torch.equal(seeing.state_dict()[name], before[name]) for name in gate)


def test_a_recipe_without_identities_takes_no_loss_and_one_with_them_needs_it() -> None:
    seeing, pictures = occmask.attach(settled(head=None)), occmask.load_faces("orl").select(np.arange(8)).in_memory()
    loss = occmask.build_loss("cosface", embedding_dim=128, num_classes=2)
    with pytest.raises(occmask.OptionError, match="None for the loss"):
        occmask.train(seeing, loss, pictures, occmask.RECIPES["occupancy"]())
    with pytest.raises(occmask.OptionError, match="give it a loss"):
        occmask.train(settled(head=None), None, pictures, occmask.RECIPES["baseline"]())


def test_a_model_that_learns_no_coverage_is_refused_by_the_recipe() -> None:
    with pytest.raises(occmask.OptionError, match="adds one that does"):
        occmask.train_head(settled(head=None), occmask.load_faces("orl").select(np.arange(4)).in_memory(), steps=1)
