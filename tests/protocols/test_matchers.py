"""Every protocol with a matcher finds what `occmask.match` finds on the templates of the same pictures."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

import occmask
from occmask.data.faces import FaceSet
from occmask.data.pairs import FacePairs
from occmask.errors import OptionError, ProtocolError, UnknownNameError
from occmask.evaluation import metrics
from occmask.evaluation.occlusion import OcclusionAccuracy
from occmask.images.pixels import to_tensor
from occmask.matching.rows import TemplateRows
from occmask.measure.protocols import run_protocol, template_embedder_of, template_layout
from occmask.occluders.conditions import cover
from occmask.protocols import PROTOCOLS
from occmask.protocols.compare import compare
from occmask.protocols.covering import clean_and_areas
from occmask.protocols.inputs import PartialAndWhole, ProbesAndGallery
from occmask.protocols.megaface import WithDistractors
from occmask.protocols.result import Result

SIZE = (56, 48)
PEOPLE, EACH = 12, 4
NUMBERS = np.arange(PEOPLE * EACH)
PROBE = NUMBERS % EACH >= 2


def make_model(**changes):
    """An untrained recogniser that sees what is covered, its map stretched so that some parts are hidden."""
    torch.manual_seed(0)
    model = occmask.attach(occmask.build("from_tiny", image_size=SIZE, head=None, **changes), "occupancy")
    with torch.inference_mode():
        usual = model(to_tensor(make_faces().images()), occlusion=True).pattern
    middle, spread = float(usual.mean()), float(usual.std())
    model.head.answer = lambda pattern: occmask.answer_from_coverage(3 * (pattern - middle) / spread)
    return model


def make_faces():
    rng = np.random.default_rng(0)
    blocks = 0.4 * rng.integers(0, 256, (PEOPLE, 1, 7, 6, 3)) + 0.6 * rng.integers(0, 256, (PEOPLE, EACH, 7, 6, 3))
    pictures = blocks.repeat(8, 2).repeat(8, 3).astype(np.uint8).reshape(-1, *SIZE, 3)
    return FaceSet.from_arrays(pictures, NUMBERS // EACH)


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def faces():
    return make_faces()


def templates(model, images):
    with torch.inference_mode():
        return model.template(to_tensor(images, model.config.input_spec))


def chosen(template, indices):
    return occmask.Template(*(field[indices.copy()] for field in template[:3]), template.grid)


@pytest.fixture(scope="module")
def score(model, faces):
    """(N, N) of all pictures with each other, computed directly."""
    found = templates(model, faces.images())
    assert float(found.visible.std()) > 0.1  # otherwise visibility would not be tested
    return occmask.match(found, found).double().numpy()


def same_person(rows, columns):
    return (rows // EACH)[:, None] == (columns // EACH)[None, :]


def fused(spec, model, data, **more):
    return run_protocol(PROTOCOLS.build(spec), model, data, matcher="fused", **more)


def make_pairs(faces, count=240):
    rng = np.random.default_rng(1)
    left = np.tile(NUMBERS, count // len(NUMBERS))
    genuine = np.arange(count) // len(NUMBERS) % 2 == 0
    other = (left + EACH * rng.integers(1, PEOPLE, count)) % len(NUMBERS)
    right = np.where(genuine, left // EACH * EACH + (left + 1) % EACH, other)
    order = rng.permutation(count)
    left, right, genuine = left[order], right[order], genuine[order]
    return FacePairs(faces=faces, left=left, right=right, same=genuine)


def test_pairs_are_judged_by_the_matchers_scores(model, faces, score):
    data = make_pairs(faces)
    found = fused(occmask.Spec("pairs", folds=5, fars=(0.2,), resamples=5), model, data)
    direct = score[data.left, data.right]
    genuine, impostor = direct[data.same], direct[~data.same]
    figures = found.figures["plain"]
    assert figures["auc"].value == pytest.approx(metrics.auc(genuine, impostor), abs=1e-4)
    assert figures["tar@2e-1"].value == pytest.approx(metrics.tar_at_far(genuine, impostor, 0.2), abs=1e-4)
    lowest = min(found.worst, key=lambda pair: pair.score if pair.same else np.inf)
    assert lowest.score == pytest.approx(genuine.min(), abs=1e-5)


def test_flip_fusion_is_that_of_templates(model, faces):
    data = make_pairs(faces)
    found = fused(occmask.Spec("pairs", folds=5, fars=(0.2,), resamples=5), model, data)
    own, mirrored = (templates(model, images) for images in (faces.images(), faces.images()[:, :, ::-1].copy()))
    visible = (own.visible + mirrored.visible) / 2
    floor = 1e-3
    parts = sum(((t.visible + floor) / (visible + floor))[..., None] * t.parts for t in (own, mirrored))
    both = occmask.Template(own.embedding + mirrored.embedding, parts, visible, own.grid)
    direct = occmask.match_pairs(chosen(both, data.left), chosen(both, data.right)).double().numpy()
    expected = metrics.auc(direct[data.same], direct[~data.same])
    assert found.figures["flip"]["auc"].value == pytest.approx(expected, abs=1e-3)
    assert found.figures["flip"]["auc"].value != found.figures["plain"]["auc"].value


def test_probes_are_named_by_the_matchers_scores(model, faces, score):
    data = ProbesAndGallery(faces.select(PROBE), faces.select(~PROBE))
    found = fused(occmask.Spec("identification", ranks=(1, 2), resamples=5, block=7), model, data)
    people = NUMBERS // EACH
    rank = metrics.identity_ranks(score[PROBE][:, ~PROBE], people[~PROBE], people[PROBE])
    assert 0 < (rank == 1).mean() < 1
    for k in (1, 2):
        np.testing.assert_array_equal(found.trials["all"][f"rank{k}"].value, rank <= k)
    worst = [pair for pair in found.worst if not pair.same]
    own = same_person(NUMBERS[PROBE], NUMBERS[~PROBE])
    assert worst[0].score == pytest.approx(score[PROBE][:, ~PROBE][~own].max(), abs=1e-5)


def test_masked_faces_are_verified_by_the_matchers_scores(model, faces, score):
    data = ProbesAndGallery(faces.select(PROBE), faces.select(~PROBE))
    found = fused(occmask.Spec("mfr", fars=(0.05,), resamples=5, block=5), model, data)
    part, own = score[PROBE][:, ~PROBE], same_person(NUMBERS[PROBE], NUMBERS[~PROBE])
    figures = found.figures["mask-to-nonmask"]
    assert figures["tar@5e-2"].value == pytest.approx(metrics.tar_at_far(part[own], part[~own], 0.05), abs=1e-6)
    assert figures["auc"].value == pytest.approx(metrics.auc(part[own], part[~own]), abs=1e-4)


def test_partial_faces_are_found_by_the_matchers_scores(model, faces, score):
    shares = np.linspace(0.3, 1, int(PROBE.sum()))
    data = PartialAndWhole(faces.select(PROBE), faces.select(~PROBE), shares)
    found = fused(occmask.Spec("pfr", fars=(0.1,), resamples=5), model, data)
    part, own = score[PROBE][:, ~PROBE], same_person(NUMBERS[PROBE], NUMBERS[~PROBE])
    people = NUMBERS // EACH
    rank = metrics.identity_ranks(part, people[~PROBE], people[PROBE])
    assert found.figures["all"]["rank1"].value == pytest.approx((rank == 1).mean())
    assert found.figures["all"]["auc"].value == pytest.approx(metrics.auc(part[own], part[~own]), abs=1e-4)


@pytest.mark.parametrize(("block", "batch_size"), [(2048, 128), (5, 3), (4, 16)])
def test_mates_are_found_among_distractors_by_the_matchers_scores(model, faces, score, block, batch_size):
    known = NUMBERS < 24
    seen = faces.select(known)
    data = WithDistractors(seen, seen, faces.select(~known))
    spec = occmask.Spec("megaface", ranks=(1, 3), resamples=5, block=block, batch_size=batch_size)
    found = fused(spec, model, data)
    expected = {1: [], 3: []}
    for probe in range(24):
        for mate in range(24):
            if probe != mate and probe // EACH == mate // EACH:
                rank = 1 + (score[probe, 24:] >= score[probe, mate]).sum()
                for k, hits in expected.items():
                    hits.append(rank <= k)
    for k, hits in expected.items():
        assert found.figures["all"][f"rank{k}"].value == pytest.approx(np.mean(hits))
    stranger = next(pair for pair in found.worst if not pair.same)
    probe, other = np.unravel_index(score[:24, 24:].argmax(), (24, 24))
    assert (stranger.left, stranger.right) == (faces.name(int(probe)), faces.name(int(other) + 24))


def test_stress_covers_and_locates_with_a_matcher(model, faces):
    options = {"areas": (0.4,), "occluders": (), "cells": 2, "gallery": 2, "far": 0.1, "resamples": 5}
    found = fused(occmask.Spec("stress", **options), model, faces)
    condition = clean_and_areas((0.4,))[1]
    covered = cover(faces.images(NUMBERS[PROBE]), condition, first=0, seed=7, grey=False)
    known, seen = templates(model, faces.images(NUMBERS[~PROBE])), templates(model, covered.images)
    direct = occmask.match(seen, known).double().numpy()
    people, own = NUMBERS // EACH, same_person(NUMBERS[PROBE], NUMBERS[~PROBE])
    rank = metrics.identity_ranks(direct, people[~PROBE], people[PROBE])
    figures = found.figures["area_40"]
    np.testing.assert_array_equal(found.trials["area_40"]["rank1"].value, rank == 1)
    assert figures["cosine"].value == pytest.approx((direct * own).sum(1).mean() / 2, abs=1e-5)
    assert figures["tar@1e-1"].value == pytest.approx(metrics.tar_at_far(direct[own], direct[~own], 0.1), abs=1e-4)
    box = model.occlusion(to_tensor(covered.images)).box.detach().numpy()
    assert figures["iou"].value == pytest.approx(OcclusionAccuracy()(box, covered.box, people[PROBE]).iou.value)
    assert found.maps["cosine"]["fall"].shape == (2, 2)
    assert any("the figure of that name is the matcher's mean score" in note for note in found.notes)


def data_for(name, faces):
    probes, gallery = faces.select(PROBE), faces.select(~PROBE)
    known = NUMBERS < 24
    return {
        "stress": faces,
        "pairs": make_pairs(faces),
        "pfr": PartialAndWhole(probes, gallery, np.full(len(probes), 0.5)),
        "megaface": WithDistractors(faces.select(known), faces.select(known), faces.select(~known)),
    }.get(name, ProbesAndGallery(probes, gallery))


def quick(name):
    more = {"stress": {"areas": (), "occluders": (), "cells": None}, "mfr": {"fars": (0.05,)}, "pairs": {"folds": 2}}
    return occmask.Spec(name, resamples=2, **more.get(name, {}))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_takes_any_matcher_and_says_which(name, model, faces):
    assert "matcher" in inspect.signature(PROTOCOLS[name].__call__).parameters
    data = data_for(name, faces)
    plain = run_protocol(PROTOCOLS.build(quick(name)), model, data)
    assert plain.settings["matcher"] == "cosine"
    assert run_protocol(PROTOCOLS.build(quick(name)), model, data, matcher="cosine").to_dict() == plain.to_dict()
    other = run_protocol(PROTOCOLS.build(quick(name)), model, data, matcher={"name": "fused", "share": 0.3})
    assert other.settings["matcher"] == {"name": "fused", "share": 0.3}
    assert other.data == plain.data
    assert Result.from_dict(other.to_dict()).to_dict() == other.to_dict()
    found = compare(plain, other)
    assert (found.a["matcher"], found.b["matcher"]) == ("cosine", "fused with share=0.3")
    assert "A compares faces by cosine and B by fused with share=0.3" in found.notes
    assert "A and B are results of one model" in found.notes
    assert all(figure.difference is not None for figure in found.figures)


def test_other_settings_still_forbid_a_comparison(model, faces):
    a = run_protocol(PROTOCOLS.build(quick("stress")), model, faces)
    b = run_protocol(PROTOCOLS.build(quick("stress").replace(gallery=1)), model, faces, matcher="parts")
    with pytest.raises(ProtocolError, match="gallery is 5 in A and 1 in B; run both"):
        compare(a, b)


def test_templates_without_parts_are_compared_by_cosine_and_a_note_says_so(faces):
    torch.manual_seed(0)
    plain = occmask.build("from_tiny", image_size=SIZE, head=None).eval()

    class Whole(torch.nn.Module):
        """The embedding without the method that takes it apart."""

        def __init__(self, inner):
            super().__init__()
            self.inner, self.width = inner, inner.width

        def forward(self, top):
            return self.inner(top)

    plain.embedding = Whole(plain.embedding)
    assert template_layout(plain).places == 0
    data = ProbesAndGallery(faces.select(PROBE), faces.select(~PROBE))
    protocol = PROTOCOLS.build(quick("mfr"))
    by_cosine, by_parts = run_protocol(protocol, plain, data), run_protocol(protocol, plain, data, matcher="fused")
    group = "mask-to-nonmask"
    for metric, figure in by_cosine.figures[group].items():
        assert by_parts.figures[group][metric].value == pytest.approx(figure.value, abs=1e-4)
    assert any("templates have no parts: fused compared the embeddings alone" in note for note in by_parts.notes)
    assert not any("parts" in note for note in by_cosine.notes)


def test_a_model_that_sees_no_occlusion_weighs_all_parts_alike_and_a_note_says_so(faces):
    torch.manual_seed(0)
    blind = occmask.build("from_tiny", image_size=SIZE, head=None).eval()
    assert template_layout(blind)[1:3] == (blind.backbone.shapes[-1].height * blind.backbone.shapes[-1].width, False)
    found = fused(quick("identification"), blind, ProbesAndGallery(faces.select(PROBE), faces.select(~PROBE)))
    assert any("every part counts alike" in note for note in found.notes)


def test_rows_of_templates_are_embedded_batch_by_batch(model, faces):
    """What a protocol may hold of N pictures is N prepared rows: no batch is larger than asked for."""
    sizes = []
    embed = template_embedder_of(model, progress=sizes.append)
    matcher = TemplateRows("fused", template_layout(model))
    data = ProbesAndGallery(faces.select(PROBE), faces.select(~PROBE))
    protocol = PROTOCOLS.build(occmask.Spec("identification", resamples=2, batch_size=5))
    again = PROTOCOLS.build(occmask.Spec("identification", resamples=2, batch_size=48))
    first = protocol(embed, data, matcher=matcher)
    assert max(sizes) == 5
    second = again(embed, data, matcher=matcher)
    assert {**first.to_dict(), "settings": 0, "worst": 0} == {**second.to_dict(), "settings": 0, "worst": 0}


def test_wrong_matchers_are_refused(model, faces):
    protocol = PROTOCOLS.build(quick("stress"))
    with pytest.raises(UnknownNameError, match="'fusd'"):
        run_protocol(protocol, model, faces, matcher="fusd")
    with pytest.raises(OptionError, match="share lies in"):
        run_protocol(protocol, model, faces, matcher=occmask.Spec("fused", share=3.0))

    def own_way(embed, data):
        raise AssertionError("must not be reached")

    with pytest.raises(ProtocolError, match="own_way compares embeddings in its own way and takes no matcher"):
        run_protocol(own_way, model, faces, matcher="fused")
