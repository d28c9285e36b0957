"""Drawing pairs: the numbers asked for, in folds of different people, or an error with what would have worked."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.data.faces import FaceSet
from occmask.data.pair_making import _shares, _unordered, make_pairs
from occmask.data.pairs import FacePairs
from occmask.errors import DataError, OptionError


def faces(counts: list[int]) -> FaceSet:
    """Person i has counts[i] pictures; picture k is uniformly of grey level k."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = (
        np.zeros((len(labels), 2, 2, 3), np.uint8)
        + (np.arange(len(labels)) % 256).astype(np.uint8)[:, None, None, None]
    )
    return FaceSet.from_arrays(images, labels, people=[f"person {i}" for i in range(len(counts))])


def named(pairs: FacePairs) -> list[tuple[str, str, bool]]:
    names = pairs.faces.names
    ends = zip(pairs.left.tolist(), pairs.right.tolist(), pairs.same.tolist(), strict=True)
    return [(names[left], names[right], same) for left, right, same in ends]


def check(pairs: FacePairs, *, genuine: int, impostor: int, folds: int) -> None:
    label = pairs.faces.labels
    assert (pairs.same == (label[pairs.left] == label[pairs.right])).all()
    assert not (pairs.left == pairs.right).any()
    assert len({frozenset(pair) for pair in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)}) == len(pairs)
    assert len(pairs) == genuine + impostor
    seen: list[set[int]] = []
    for fold in np.split(np.arange(len(pairs)), folds):
        assert pairs.same[fold].tolist() == [True] * (genuine // folds) + [False] * (impostor // folds)
        seen.append({*label[pairs.left[fold]].tolist(), *label[pairs.right[fold]].tolist()})
    assert all(not one & other for one, other in combinations(seen, 2))


@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=24),
    st.integers(1, 5),
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(0, 3),
)
def test_pairs_are_as_asked_or_the_error_names_what_can_be_asked(counts, folds, genuine, impostor, seed):
    everyone = faces(counts)
    asked = {"genuine": genuine * folds, "impostor": impostor * folds}
    try:
        pairs = make_pairs(everyone, folds=folds, seed=seed, **asked)
    except DataError as e:
        most = re.search(r"at most (\d+) genuine and (\d+) impostor pairs", str(e))
        assert most is not None
        at_most = {"genuine": int(most[1]), "impostor": int(most[2])}
        assert any(asked[kind] > at_most[kind] for kind in asked)
        if all(at_most.values()):
            check(make_pairs(everyone, folds=folds, seed=seed, **at_most), folds=folds, **at_most)
        return
    check(pairs, folds=folds, **asked)
    assert named(pairs) == named(make_pairs(everyone, folds=folds, seed=seed, **asked))


def test_another_seed_draws_other_pairs_and_puts_other_people_together():
    first, second = (make_pairs(faces([4] * 40), genuine=40, impostor=40, seed=seed) for seed in (0, 1))
    assert set(named(first)) != set(named(second))
    in_first_fold = [set(pairs.faces.labels[pairs.left[:8]].tolist()) for pairs in (first, second)]
    assert in_first_fold[0] != in_first_fold[1]


def test_every_possible_pair_is_drawn_when_all_are_asked_for():
    pairs = make_pairs(faces([3, 1, 2]), genuine=4, impostor=11, folds=1)
    assert len({frozenset(pair[:2]) for pair in named(pairs)}) == 15


def test_a_person_with_many_pictures_does_not_dominate():
    pairs = make_pairs(faces([200] + [3] * 30), genuine=31, impostor=62, folds=1)
    genuine = pairs.faces.labels[pairs.left[pairs.same]]
    assert np.bincount(genuine).max() == 1
    impostor = pairs.faces.labels[np.stack([pairs.left, pairs.right])[:, ~pairs.same]]
    assert np.bincount(impostor.reshape(-1)).max() <= 16  # 4 in the mean; over pictures it would be 53


def test_either_picture_of_a_pair_may_be_the_left_one():
    pairs = make_pairs(faces([6] * 40), genuine=200, impostor=200)
    numbers = np.array([[int(name.split()[1]) for name in pair[:2]] for pair in named(pairs)])
    assert 0.4 < (numbers[:, 0] < numbers[:, 1]).mean() < 0.6


@pytest.mark.parametrize(
    "options", [{"genuine": 0}, {"impostor": -10}, {"genuine": 15}, {"impostor": 3, "folds": 2}, {"folds": 0}]
)
def test_numbers_that_folds_cannot_share_are_refused(options):
    with pytest.raises(OptionError, match="positive multiples of folds"):
        make_pairs(faces([4] * 40), **{"genuine": 10, "impostor": 10, **options})


def test_a_seed_is_a_whole_number():
    with pytest.raises(OptionError, match="seed"):
        make_pairs(faces([4] * 40), genuine=10, impostor=10, seed=-1)


def test_too_many_pairs_say_what_the_set_can_give():
    message = r"40 pictures of 10 people give at most 60 genuine and 0 impostor pairs in 10 folds .*not 3000 and 3000"
    with pytest.raises(DataError, match=message):
        make_pairs(faces([4] * 10))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8).filter(any), st.data())
def test_shares_are_as_equal_as_the_capacities_allow(capacities, data):
    wanted = data.draw(st.integers(0, sum(capacities)))
    shares = _shares(np.array(capacities), wanted, np.random.default_rng(0))
    assert shares.sum() == wanted
    assert (shares <= capacities).all()
    below = shares[shares < capacities]  # whoever could give more gives as much as anybody, give or take one
    assert not len(below) or below.min() >= shares.max() - 1


def test_unordered_numbers_every_pair_once():
    assert [_unordered(n) for n in range(45)] == [(i, j) for j in range(1, 10) for i in range(j)]
    last = 10**9
    assert _unordered(last * (last - 1) // 2 - 1) == (last - 2, last - 1)
