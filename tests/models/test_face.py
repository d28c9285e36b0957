"""The model: what is computed when, what the mask does, and what bad input gives."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import occmask
from occmask import Spec
from occmask.shapes import OcclusionTruth

DECODERS = list(occmask.MASK_DECODERS)
PREDICTORS = list(occmask.PATTERN_PREDICTORS)


def faces(count=3, size=(112, 96)):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def millions(module):
    return round(sum(p.numel() for p in module.parameters()) / 1e6, 3)


def test_from_r50_has_the_published_size_without_the_parts_nobody_reads():
    model = occmask.build("from_r50")
    head = model.head
    assert millions(model.backbone) == 30.743
    assert millions(model.embedding) == 11.055
    assert round(millions(head.pyramid) + millions(head.mask_decoder), 3) == 2.590
    assert millions(head.pattern_predictor) == 4.903
    assert round(millions(model), 1) == 49.3


@pytest.mark.parametrize("depth, blocks", [(18, 8), (34, 16), (50, 24), (100, 49)])
def test_every_depth_has_its_blocks(depth, blocks):
    with torch.device("meta"):
        model = occmask.BACKBONES.build(Spec("lresnet", depth=depth), (112, 96))
    assert sum(1 for name, _ in model.named_modules() if name.endswith("conv2")) == blocks


@pytest.mark.parametrize("size", [(112, 96), (112, 112), (64, 48), (33, 47), (16, 16), (1, 1)])
def test_declared_map_shapes_are_the_real_ones(size):
    backbone = occmask.BACKBONES.build("tiny", size).eval()
    maps = backbone(faces(2, size))
    assert [tuple(m.shape[1:]) for m in maps] == [tuple(s) for s in backbone.shapes]
    model = occmask.build("from_tiny", image_size=size, k=1).eval()
    assert torch.isfinite(model(faces(2, size)).embedding).all()


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_mask_that_keeps_everything_keeps_the_embedding(decoder):
    model = occmask.build("from_tiny", mask_decoder=decoder).eval()
    keep_all = torch.full((3, *model.head.mask_decoder.mask_shape), 50.0)
    model.head.mask_logits = lambda maps: keep_all
    with torch.inference_mode():
        output = model(faces(), clean=True)
    torch.testing.assert_close(output.embedding, output.clean)


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_mask_changes_the_embedding_and_learns_from_it(decoder):
    model = occmask.build("from_tiny", mask_decoder=decoder)
    output = model(faces(), clean=True)
    assert not torch.allclose(output.embedding, output.clean)
    output.embedding.square().sum().backward()
    reached = [p.grad is not None and bool(p.grad.any()) for p in model.head.mask_decoder.parameters()]
    assert all(reached)


def test_only_the_deep_decoder_has_no_pyramid():
    for decoder in ("full", "spatial", "vector"):
        assert occmask.build("from_tiny", mask_decoder=decoder).head.pyramid is not None
    assert occmask.build("from_tiny", mask_decoder="deep").head.pyramid is None


def count_calls(module):
    calls = []
    module.register_forward_hook(lambda *_: calls.append(1))
    return calls


def test_what_is_not_asked_for_is_not_computed():
    model = occmask.build("from_tiny").eval()
    predicted, embedded = count_calls(model.head.pattern_predictor), count_calls(model.embedding)
    with torch.inference_mode():
        output = model(faces())
    assert (len(predicted), len(embedded)) == (0, 1)
    assert output.mask is not None
    assert output.pattern is None
    assert output.clean is None
    with torch.inference_mode():
        output = model(faces(), occlusion=True, clean=True)
    assert (len(predicted), len(embedded)) == (1, 3)
    assert output.pattern is not None
    model.train()(faces())
    assert (len(predicted), len(embedded)) == (2, 4)


def test_a_model_without_a_head_has_no_mask_and_its_clean_embedding_is_the_embedding():
    model = occmask.build("from_tiny", head=None).eval()
    output = model(faces(), clean=True, occlusion=True)
    assert output.mask is None
    assert torch.equal(output.embedding, output.clean)
    with pytest.raises(occmask.OptionError, match="without a head"):
        model.occlusion_answer(output)
    with pytest.raises(occmask.OptionError, match="has an occlusion loss"):
        model.occlusion_loss(output, OcclusionTruth(torch.zeros(3, 4)))


def test_a_hard_gate_drops_elements_below_the_threshold_and_still_learns():
    model = occmask.build("from_tiny", threshold=0.5)
    maps = model.backbone(faces())
    logits = model.head.mask_logits(maps)
    seen = []
    model.embedding.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    output = model(faces())
    keep = logits.sigmoid() >= 0.5
    assert 0 < keep.float().mean() < 1
    assert not seen[0][~keep].any()
    torch.testing.assert_close(seen[0][keep], maps[-1][keep])
    output.embedding.square().sum().backward()
    assert model.head.mask_decoder[0].weight.grad.any()


def test_the_predictor_reads_the_soft_mask_whatever_the_gate():
    torch.manual_seed(0)
    soft = occmask.build("from_tiny").eval()
    hard = occmask.build("from_tiny", threshold=0.5).eval()
    hard.load_state_dict(soft.state_dict())
    with torch.inference_mode():
        a, b = soft(faces(), occlusion=True), hard(faces(), occlusion=True)
    assert torch.equal(a.pattern, b.pattern)
    assert not torch.allclose(a.embedding, b.embedding)


@pytest.mark.parametrize("predictor", [name for name in PREDICTORS if name != "mask"])  # which has no box to learn
def test_the_predictor_learns_where_a_box_is(predictor):
    """Overfitting eight boxes drawn into the mask: the answer must come to point at them."""
    torch.manual_seed(0)
    image = occmask.FeatureShape(3, 112, 96)
    module = occmask.PATTERN_PREDICTORS.build(Spec(predictor, dropout=0.0), (1, 7, 6), image)
    box = torch.tensor([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0.5, 1, 1], [0, 0, 0, 0]]).repeat(2, 1)
    mask = torch.ones(8, 1, 7, 6)
    for row, (x0, y0, x1, y1) in enumerate(box.tolist()):
        mask[row, 0, round(y0 * 7) : round(y1 * 7), round(x0 * 6) : round(x1 * 6)] = 0
    optimiser = torch.optim.AdamW(module.parameters(), lr=0.02)
    for _ in range(150):
        optimiser.zero_grad()
        module.loss(module(mask), OcclusionTruth(box)).backward()
        optimiser.step()
    answer = module.answer(module(mask).detach())
    assert (answer.box[3] == 0).all()
    assert (answer.box[:3] - box[:3]).abs().max() < 0.12
    assert answer.covered[3] < 0.5 < answer.covered[0]
    assert answer.cells[1, -1, -1] > 0.5 > answer.cells[1, 0, 0]


def test_regression_corners_are_trained_on_covered_faces_only():
    image = occmask.FeatureShape(3, 112, 96)
    module = occmask.PATTERN_PREDICTORS.build("regression", (1, 7, 6), image)
    pattern = torch.rand(4, 5, requires_grad=True)
    box = torch.tensor([[0, 0, 0, 0], [0.1, 0.2, 0.5, 0.6], [0, 0, 0, 0], [0, 0, 1, 1]])
    module.loss(pattern, OcclusionTruth(box)).backward()
    assert not pattern.grad[[0, 2], :4].any()
    assert pattern.grad[[1, 3], :4].any()
    assert pattern.grad[:, 4].all()


def test_a_batch_without_any_cover_has_a_finite_loss():
    for predictor in PREDICTORS:
        model = occmask.build("from_tiny", pattern_predictor=predictor)
        loss = model.occlusion_loss(
            model(faces()), OcclusionTruth(torch.zeros(3, 4), torch.zeros(3, 112, 96, dtype=torch.bool))
        )
        assert torch.isfinite(loss)


@pytest.mark.parametrize(
    "images, words",
    [
        (torch.zeros(2, 3, 112, 112), r"\(B, 3, 112, 96\).*image_size"),
        (torch.zeros(3, 112, 96), r"\(B, 3, 112, 96\)"),
        (torch.zeros(2, 1, 112, 96), r"\(B, 3, 112, 96\)"),
        (torch.zeros(2, 3, 112, 96, dtype=torch.uint8), "floats in"),
        (torch.full((2, 3, 112, 96), 255.0), "127.5"),
        (torch.full((2, 3, 112, 96), torch.nan), "NaN"),
        (torch.full((2, 3, 112, 96), torch.inf), "finite"),
    ],
)
def test_images_that_do_not_fit_are_refused_with_what_would(images, words):
    with pytest.raises(occmask.ShapeError, match=words) as e:
        occmask.build("from_tiny").eval()(images)
    assert "\n" not in str(e.value)


def test_one_face_cannot_be_trained_on():
    model = occmask.build("from_tiny")
    with pytest.raises(occmask.ShapeError, match="at least 2 faces"):
        model(faces(1))
    assert model.eval()(faces(1)).embedding.shape == (1, 128)


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_embedding_path_exports(decoder):
    model = occmask.build("from_tiny", mask_decoder=decoder).eval()
    images = faces(2)
    exported = torch.export.export(model, (images,), strict=False).module()
    torch.testing.assert_close(exported(images).embedding, model(images).embedding)


def test_double_precision_goes_through():
    model = occmask.build("from_tiny").double().eval()
    output = model(faces().double(), occlusion=True)
    assert output.embedding.dtype == torch.float64
    assert model.occlusion_answer(output).cells.dtype == torch.float64


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_model_gives_what_head_gate_and_embedding_give_by_hand(decoder):
    torch.manual_seed(0)
    model = occmask.build("from_tiny", mask_decoder=decoder).eval()
    maps = model.backbone(faces())
    found = model.head(maps)
    gate, top = found.mask.sigmoid(), maps[-1]
    wanted = model.embedding(top) * gate if decoder == "vector" else model.embedding(top * gate)
    output = model(faces(), occlusion=True)
    torch.testing.assert_close(output.embedding, wanted)
    torch.testing.assert_close(output.mask, found.mask)
    torch.testing.assert_close(output.pattern, found.pattern)


def test_a_head_that_predicts_from_the_gate_is_given_the_soft_one_and_not_run_a_second_time():
    model = occmask.build("from_tiny", threshold=0.5)
    whole, decoded, seen = count_calls(model.head), count_calls(model.head.mask_decoder), []
    model.head.pattern_predictor.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    output = model(faces())
    assert (len(whole), len(decoded)) == (0, 1)
    torch.testing.assert_close(seen[0], output.mask.sigmoid())
    model.zero_grad()
    output.pattern.square().sum().backward()
    assert model.head.mask_decoder[0].weight.grad.any()
    assert model.embedding.fc.weight.grad is None


@pytest.mark.parametrize("missing", ["mask_logits", "predict_pattern"])
def test_a_head_with_one_of_the_two_halves_runs_whole_for_its_pattern(missing):
    model = occmask.build("from_tiny").eval()
    whole = count_calls(model.head)
    with torch.inference_mode():
        wanted = model(faces(), occlusion=True)
        setattr(model.head, missing, None)
        model.head.forward = lambda maps: occmask.Occlusion(wanted.mask, wanted.pattern)
        output = model(faces(), occlusion=True)
    assert len(whole) == 1
    assert torch.equal(output.pattern, wanted.pattern)
    torch.testing.assert_close(output.embedding, wanted.embedding)  # the gate is computed another way


def test_the_occlusion_path_of_training_keeps_the_memory_format_from_map_to_embedding():
    for decoder in DECODERS:
        model = occmask.build("from_tiny", mask_decoder=decoder).to(memory_format=torch.channels_last)
        seen = []
        for module in (model.embedding, model.head.pattern_predictor):
            module.register_forward_pre_hook(lambda _, args: seen.append(args[0]))  # noqa: B023
        model(faces().contiguous(memory_format=torch.channels_last))
        for x in seen:
            assert x.is_contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x.is_contiguous()


class Spy(nn.Module):
    """A third-party head with nothing but the protocol."""

    def __init__(self, shapes):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shapes.embedding))
        self.shapes = shapes

    def forward(self, maps):
        return occmask.Occlusion(self.weight.expand(len(maps[0]), -1), maps[-1].mean((1, 2, 3))[:, None])


def test_a_head_without_mask_logits_runs_whole_and_hides_its_pattern_until_asked():
    name = "test_spy"
    occmask.HEADS.register(name, Spy)
    try:
        model = occmask.build("from_tiny", head=name).eval()
        assert model.head.shapes.embedding == 128
        assert model.head.shapes.maps[-1] == (128, 7, 6)
        assert model(faces()).pattern is None
        assert model(faces(), occlusion=True).pattern.shape == (3, 1)
        torch.testing.assert_close(model(faces()).embedding, model(faces(), clean=True).clean / 2)
    finally:
        del occmask.HEADS._loaded[name]
