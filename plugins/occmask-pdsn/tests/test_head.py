"""The head: what a dictionary discards, whoever says what is covered."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from occmask_pdsn import COMBINATIONS, PdsnHead, changed, embed_with_blocks, true_blocks, with_from_detector
from occmask_pdsn.combinations import union

import occmask
from occmask import Spec
from occmask.testing import check_head
from occmask.testing.heads import FACE_SHAPES

SHAPES = FACE_SHAPES[0]
K = 3
COMBINED = st.sampled_from(list(COMBINATIONS))
THRESHOLD = st.floats(0.05, 0.95)


def built_head(shapes=SHAPES, *, seed=0, **options):
    """A head with a random dictionary."""
    head = PdsnHead(shapes, **{"k": K, **options})
    generator = torch.Generator().manual_seed(seed)
    head.dictionary.copy_(torch.rand(head.dictionary.shape, generator=generator))
    return head.eval()


def built(shapes):
    """The head with a random dictionary, by a factory as a registry wants it."""
    return built_head(shapes)


def built_model(**options):
    torch.manual_seed(0)
    model = occmask.build("pdsn_tiny", image_size=(32, 32), head=Spec("pdsn", k=K, **options)).eval()
    model.head.dictionary.copy_(torch.rand_like(model.head.dictionary))
    return model


def blocks_of(covered):
    return torch.tensor(covered, dtype=torch.bool)


some_blocks = st.lists(st.lists(st.booleans(), min_size=K * K, max_size=K * K), min_size=1, max_size=3).map(blocks_of)


@pytest.mark.parametrize(
    "head",
    [
        "pdsn",
        Spec("pdsn", k=2, combination="mean", detector=Spec("classifier", width=4, levels=1)),
        Spec("pdsn", k=2, detector=Spec("from", head=Spec("from", width=4, pattern_predictor=Spec("regression", k=2)))),
        built,
    ],
    ids=["default", "mean", "from", "built"],
)
def test_the_head_keeps_the_protocol(head):
    check_head(head)


def test_an_empty_dictionary_keeps_everything():
    head = PdsnHead(SHAPES, k=K)
    assert not head.is_built
    assert not head.discarded(torch.ones(1, K * K, dtype=torch.bool)).any()
    mask = head.mask_logits([torch.randn(2, *shape) for shape in SHAPES.maps])
    assert bool((mask.sigmoid() == 1).all())


@settings(max_examples=30, deadline=None)
@given(COMBINED, THRESHOLD, st.integers(0, 99))
def test_nothing_covered_keeps_everything(combination, threshold, seed):
    head = built_head(seed=seed, combination=combination, threshold=threshold)
    assert not head.discarded(torch.zeros(2, K * K, dtype=torch.bool)).any()


@settings(max_examples=30, deadline=None)
@given(some_blocks, THRESHOLD, st.integers(0, 99))
def test_the_union_discards_what_any_covered_block_discards_and_nothing_else(blocks, threshold, seed):
    head = built_head(seed=seed, combination="union", threshold=threshold)
    for covered, found in zip(blocks, head.discarded(blocks), strict=True):
        wanted = torch.zeros(SHAPES.maps[-1], dtype=torch.bool)
        for item in head.dictionary[covered]:
            wanted |= item >= head.discard_from
        assert torch.equal(found, wanted)


@settings(max_examples=30, deadline=None)
@given(some_blocks, THRESHOLD, st.integers(0, 99))
def test_the_mean_discards_what_the_covered_blocks_discard_on_average(blocks, threshold, seed):
    head = built_head(seed=seed, combination="mean", threshold=threshold)
    for covered, found in zip(blocks, head.discarded(blocks), strict=True):
        if covered.any():
            average = head.dictionary[covered].double().mean(0)
            clear = (average - head.discard_from).abs() > 1e-5  # rounding decides the others
            assert torch.equal(found[clear], (average >= head.discard_from)[clear])


@settings(max_examples=30, deadline=None)
@given(COMBINED, some_blocks, THRESHOLD, THRESHOLD, st.integers(0, 99))
def test_a_higher_threshold_never_discards_more(combination, blocks, one, other, seed):
    low, high = sorted((one, other))
    few = built_head(seed=seed, combination=combination, threshold=high).discarded(blocks)
    many = built_head(seed=seed, combination=combination, threshold=low).discarded(blocks)
    assert bool((many | ~few).all())


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["union", "sum_of_items"]), some_blocks, st.integers(0, K * K - 1))
def test_covering_one_block_more_never_keeps_more(combination, blocks, extra):
    head = built_head(combination=combination, threshold=0.8)
    more = blocks.clone()
    more[:, extra] = True
    assert bool((head.discarded(more) | ~head.discarded(blocks)).all())


@settings(max_examples=30, deadline=None)
@given(COMBINED, st.integers(0, K * K - 1), THRESHOLD)
def test_one_covered_block_discards_its_own_item_under_every_combination(combination, block, threshold):
    head = built_head(combination=combination, threshold=threshold)
    only = torch.arange(K * K)[None] == block
    clear = (head.dictionary[block] - head.discard_from).abs() > 1e-5
    wanted = head.dictionary[block] >= head.discard_from
    assert torch.equal(head.discarded(only)[0][clear], wanted[clear])


def test_the_mask_is_that_of_the_blocks_the_detector_finds():
    head = built_head(covered_from=0.3)
    maps = [torch.randn(4, *shape) for shape in SHAPES.maps]
    found = head(maps)
    blocks = found.pattern.sigmoid() >= 0.3
    assert bool(blocks.any())
    assert torch.equal(found.mask < 0, head.discarded(blocks))
    assert set(found.mask.sigmoid().round(decimals=6).unique().tolist()) == {0.0, 1.0}


def test_the_gradient_of_the_mask_pushes_blocks_that_discard_what_helps_to_be_uncovered():
    head = built_head(threshold=0.5)
    logits = torch.zeros(1, K * K, requires_grad=True)
    head._mask(logits).sum().backward()
    assert bool((logits.grad < 0).all())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 31), st.integers(0, 31), st.integers(1, 32), st.integers(1, 32))
def test_map_and_box_say_the_same_of_a_covered_rectangle(left, top, width, height):
    right, bottom = min(32, left + width), min(32, top + height)
    blocks = built_model().head.blocks
    covered = torch.zeros(1, 32, 32, dtype=torch.bool)
    covered[:, top:bottom, left:right] = True
    box = torch.tensor([[left, top, right, bottom]]) / 32
    from_map = blocks.covered_share(occmask.OcclusionTruth(box, covered))
    from_box = blocks.covered_share(occmask.OcclusionTruth(box))
    assert torch.allclose(from_map, from_box, atol=1e-5)


def test_a_wholly_covered_block_counts_and_the_answer_s_box_is_that_block():
    model = built_model()
    grid = occmask.PatternGrid(K, image_size=(32, 32))
    (top, bottom), (left, right) = grid.rows[1:3].tolist(), grid.columns[:2].tolist()
    box = torch.tensor([[left, top, right, bottom], [0, 0, 0, 0]]) / 32
    blocks = true_blocks(model, occmask.OcclusionTruth(box))
    assert blocks[0].nonzero().flatten().tolist() == [K]
    assert not blocks[1].any()
    answer = model.head.answer(torch.where(blocks, 9.0, -9.0))
    assert torch.allclose(answer.box, box, atol=1e-6)
    assert (answer.covered > 0.5).tolist() == [True, False]


def test_faces_with_known_blocks_are_embedded_by_them_and_not_by_the_detector():
    model = built_model()
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    nothing = torch.zeros(2, K, K, dtype=torch.bool)
    plain = model(images, clean=True).clean
    assert torch.allclose(embed_with_blocks(model, images, nothing), plain, atol=1e-5)
    covered = nothing.clone()
    covered[1, 0, 0] = True
    found = embed_with_blocks(model, images, covered)
    assert torch.allclose(found[0], plain[0], atol=1e-5)
    assert not torch.allclose(found[1], plain[1], atol=1e-3)


def test_the_blocks_the_detector_found_give_the_model_s_own_embedding():
    model = built_model()
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    output = model(images, occlusion=True)
    told = embed_with_blocks(model, images, output.pattern.sigmoid() >= 0.5)
    assert torch.allclose(told, output.embedding, atol=1e-4)


def test_options_change_after_training_and_the_dictionary_stays():
    model = built_model()
    other = changed(model, threshold=0.9, combination="mean")
    assert torch.equal(other.head.dictionary, model.head.dictionary)
    assert (other.head.discard_from, other.config.head.options["threshold"]) == (0.9, 0.9)
    everything = torch.ones(1, K * K, dtype=torch.bool)
    assert other.head.discarded(everything).sum() < model.head.discarded(everything).sum()
    with pytest.raises(occmask.OptionError, match="k says what weights"):
        changed(model, k=4)


def test_from_s_head_of_a_checkpoint_becomes_the_detector_and_needs_no_file_afterwards(tmp_path):
    model = built_model()
    from_head = Spec("from", width=4, pattern_predictor=Spec("classification", k=K))
    other = occmask.build("from_tiny", image_size=(32, 32), head=from_head).eval()
    occmask.save_weights(other, tmp_path / "other.safetensors")
    with pytest.raises(occmask.OptionError, match="another trunk"):
        with_from_detector(model, tmp_path / "other.safetensors")
    other.backbone.load_state_dict(model.backbone.state_dict())
    occmask.save_weights(other, tmp_path / "from.safetensors")
    told = with_from_detector(model, tmp_path / "from.safetensors")
    (tmp_path / "from.safetensors").unlink()
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    cells = other.occlusion_answer(other(images, occlusion=True)).cells
    assert torch.allclose(told.occlusion_answer(told(images, occlusion=True)).cells, cells, atol=2e-4)
    occmask.save_weights(told, tmp_path / "told.safetensors")
    again = occmask.load_model(tmp_path / "told.safetensors")
    assert torch.equal(again(images).embedding, told(images).embedding)


def test_a_dictionary_survives_saving_and_export(tmp_path):
    model = built_model()
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    expected = model(images).embedding
    occmask.save_weights(model, tmp_path / "m.safetensors")
    assert torch.equal(occmask.load_model(tmp_path / "m.safetensors")(images).embedding, expected)
    program = torch.export.export(model, (images,)).module()
    assert torch.allclose(program(images).embedding, expected, atol=1e-4)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"threshold": 0.0}, "threshold lies in"),
        ({"covered_from": 1.0}, "covered_from lies in"),
        ({"combination": "unoin"}, "Did you mean 'union'"),
        ({"detector": "clasifier"}, "Did you mean 'classifier'"),
        ({"detector": Spec("classifier", levels=9)}, "levels 1 .. 4"),
        ({"detector": Spec("from", head=Spec("from", width=4))}, "answers for k=5"),
        ({"k": 0}, "k is a whole number"),
    ],
)
def test_options_that_cannot_work_are_said_so(options, words):
    with pytest.raises(occmask.OccmaskError, match=words):
        occmask.HEADS.build(Spec("pdsn", **{"k": K, **options}), SHAPES)


def test_blocks_of_another_grid_are_refused():
    with pytest.raises(occmask.ShapeError, match=r"booleans of shape \(B, 9\)"):
        built_head().discarded(torch.zeros(1, 25, dtype=torch.bool))


def test_a_rule_of_ones_own_is_used_by_its_path():
    assert COMBINATIONS["occmask_pdsn.combinations:union"] is union
