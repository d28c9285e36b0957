"""Search finds what comparing everything with everything would, and says so where it looks at less."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import occmask
from occmask import OptionError, ShapeError, Template
from occmask.matching import MATCHERS, match
from occmask.matching.search import Found, RunningTop, compact, nearest, search, search_prepared


def faces(count, seed, dim=16, parts=6, *, seen=True):
    generator = torch.Generator().manual_seed(seed)
    summands = torch.randn(count, parts, dim, generator=generator)
    visible = torch.rand(count, parts, generator=generator) if seen else None
    return Template(summands.sum(1), summands, visible, (2, 3))


def by_sorting(queries, gallery, top, matcher):
    scores, rows = match(queries, gallery, matcher=matcher).sort(descending=True)
    return Found(rows[:, :top], scores[:, :top])


def check_equal(found, expected):
    torch.testing.assert_close(found.scores, expected.scores, rtol=0, atol=1e-5)
    assert (found.rows == expected.rows).float().mean() > 0.99  # but for equal scores


@pytest.mark.parametrize("matcher", sorted(MATCHERS))
@pytest.mark.parametrize("block", [1, 37, 8192])
def test_without_a_first_pass_search_finds_what_a_sort_finds(matcher, block):
    queries, gallery = faces(5, 1), faces(90, 2)
    check_equal(
        search(queries, gallery, top=7, matcher=matcher, candidates=None, block=block),
        by_sorting(queries, gallery, 7, matcher),
    )


@pytest.mark.parametrize("matcher", sorted(MATCHERS))
def test_among_its_candidates_search_finds_the_best_by_the_matchers_own_score(matcher):
    queries, gallery = faces(8, 3), faces(300, 4)
    found = search(queries, gallery, top=5, matcher=matcher, candidates=40)
    built = MATCHERS.build(matcher)
    first = nearest(built.prepare(queries).unit, built.prepare(gallery).unit, top=40).rows
    scores = match(queries, gallery, matcher=matcher).gather(1, first)
    best, order = scores.topk(5)
    check_equal(found, Found(first.gather(1, order), best))


def test_as_many_candidates_as_faces_are_an_exact_search():
    queries, gallery = faces(5, 5), faces(64, 6)
    check_equal(search(queries, gallery, top=4, candidates=64), by_sorting(queries, gallery, 4, "fused"))


def test_templates_without_parts_are_searched_by_their_cosine():
    queries, gallery = Template(faces(4, 7).embedding), Template(faces(500, 8).embedding)
    check_equal(search(queries, gallery, candidates=20), by_sorting(queries, gallery, 10, "cosine"))


def test_parts_in_half_precision_find_the_same_faces():
    queries, gallery = faces(6, 9), faces(400, 10)
    built = MATCHERS.build("fused")
    ready = built.prepare(queries), built.prepare(gallery)
    exact = search_prepared(built, *ready, candidates=60)
    half = search_prepared(built, ready[0], compact(ready[1]), candidates=60)
    torch.testing.assert_close(half.scores, exact.scores, rtol=0, atol=1e-3)
    assert compact(ready[1]).parts.dtype == torch.float16
    assert torch.equal(half.rows[:, 0], exact.rows[:, 0])


@given(
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=5),
    top=st.integers(1, 5),
    seed=st.integers(0, 2**31),
    levels=st.sampled_from([3, 10**6]),
)
def test_a_running_top_is_the_top_of_everything_that_was_added(sizes, top, seed, levels):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(levels, (3, sum(sizes)), generator=generator).float()
    best, start = RunningTop(3, min(top, sum(sizes)), like=scores), 0
    for size in sizes:
        best.add(scores[:, start : start + size], start)
        start += size
    found = best.found()
    assert torch.equal(found.scores, scores.topk(min(top, sum(sizes))).values)
    assert torch.equal(scores.gather(1, found.rows), found.scores)
    assert all(len(set(of_query.tolist())) == len(of_query) for of_query in found.rows)


def test_a_small_gallery_gives_all_it_has_and_an_empty_one_nothing():
    found = search(faces(3, 11), faces(4, 12), top=10)
    assert found.rows.shape == found.scores.shape == (3, 4)
    assert search(faces(3, 11), faces(0, 12)).rows.shape == (3, 0)
    assert search(faces(0, 11), faces(4, 12)).rows.shape == (0, 4)


def test_many_queries_are_searched_in_turns_and_come_back_in_order(monkeypatch):
    monkeypatch.setattr("occmask.matching.search.QUERIES_AT_ONCE", 4)
    queries, gallery = faces(11, 13), faces(50, 14)
    check_equal(search(queries, gallery, top=3, candidates=50), by_sorting(queries, gallery, 3, "fused"))


@pytest.mark.parametrize("options", [{"top": 0}, {"candidates": 0}, {"block": True}, {"top": 2.5}])
def test_counts_that_cannot_be_are_refused(options):
    with pytest.raises(OptionError, match="whole number of at least 1"):
        search(faces(2, 1), faces(3, 2), **options)


def test_templates_of_two_models_are_refused():
    with pytest.raises(ShapeError, match="make both with one model"):
        search(faces(2, 1, dim=8), faces(3, 2, dim=16))


def test_search_is_a_public_name():
    assert occmask.search is search
