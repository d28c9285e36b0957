import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from occmask.errors import OptionError, ProtocolError, ShapeError
from occmask.evaluation.bootstrap import Bootstrap
from occmask.evaluation.metrics import cmc, identity_ranks
from occmask.evaluation.open_set import open_set
from occmask.evaluation.ranking import ProbeRanks, cmc_curve, rank_probes
from occmask.protocols.face_identification import FaceIdentification
from occmask.protocols.inputs import ProbesAndGallery
from occmask.protocols.megaface import MegaFaceIdentification, WithDistractors
from occmask.protocols.mfr import MaskedFaceVerification
from occmask.protocols.result import Result

corners = st.tuples(*[st.sampled_from([-0.5, 0.5])] * 4)  # exact products, most of them tied


def sets(people, *, most=12):
    rows = st.lists(st.tuples(st.integers(0, people), corners), min_size=1, max_size=most)
    return rows.map(lambda rows: (np.array([r[1] for r in rows]), np.array([r[0] for r in rows])))


@given(sets(4), sets(6), st.integers(1, 6))
def test_ranks_in_tiles_are_those_of_the_whole_score_matrix(gallery, probe, block):
    (known, known_label), (new, new_label) = gallery, probe
    ranks = rank_probes(known, known_label, new, new_label, block=block)
    score = new @ known.T
    inside = np.isin(new_label, known_label)
    assert list(ranks.rank[~inside]) == [0] * int((~inside).sum())
    if inside.any():
        whole = identity_ranks(score[inside], known_label, new_label[inside])
        assert list(ranks.rank[inside]) == list(whole)
        num_people = len(np.unique(known_label))
        curve = cmc_curve(ranks.rank[inside], num_people=num_people)
        np.testing.assert_allclose(curve.y, cmc(whole, num_people=num_people))
    for i, label in enumerate(new_label):
        for found, those in ((ranks.own[i], known_label == label), (ranks.other[i], known_label != label)):
            assert found == max(score[i][those], default=-np.inf)


def test_a_long_cmc_is_thinned_and_stays_exact():
    rank = np.random.default_rng(0).integers(1, 5000, 3000)
    curve = cmc_curve(rank, num_people=5000)
    assert len(curve.x) <= 300
    assert (curve.x[0], curve.x[-1], curve.y[-1]) == (1, 5000, 1)
    for x, y in zip(curve.x, curve.y, strict=True):
        assert y == (rank <= x).mean()


def dir_by_trying(gallery_score, gallery_label, probe_label, far):
    """The definition, probe by probe and threshold by threshold."""
    known = np.isin(probe_label, gallery_label)
    allowed = int(round(far * (~known).sum(), 9))
    best = []
    for threshold in [*np.unique(gallery_score), -np.inf]:
        alarms = sum(max(scores) > threshold for scores in gallery_score[~known])
        if alarms > allowed:
            continue
        right = 0
        for scores, label in zip(gallery_score[known], probe_label[known], strict=True):
            own = max(scores[gallery_label == label])
            right += own > threshold and all(s < own for s in scores[gallery_label != label])
        best.append(right / known.sum())
    return max(best)


@settings(suppress_health_check=["too_slow", "filter_too_much"], deadline=None)
@given(
    sets(3, most=8),
    st.lists(st.tuples(st.integers(0, 3), corners), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(4, 6), corners), min_size=20, max_size=30),
    st.sampled_from([0.5, 0.6, 0.75, 0.9]),
)
def test_dir_is_the_best_of_all_thresholds_that_raise_few_enough_false_alarms(gallery, mated, strangers, far):
    known, known_label = gallery
    rows = mated + strangers
    new, new_label = np.array([r[1] for r in rows]), np.array([r[0] for r in rows])
    assume(np.isin(new_label, known_label).any())
    ranks = rank_probes(known, known_label, new, new_label, block=3)
    found = open_set(ranks, new_label, fars=(far,), bootstrap=Bootstrap(resamples=2))
    assert found.dir[far].value == pytest.approx(dir_by_trying(new @ known.T, known_label, new_label, far))
    assert found.curve.y[-1] == pytest.approx((ranks.rank[ranks.rank > 0] == 1).mean())
    assert (np.diff(found.curve.y) >= 0).all()


def test_dir_intervals_repeat_the_probes_of_a_person():
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(12), 5)
    stranger = label >= 6
    ranks = ProbeRanks(
        np.where(stranger, 0, rng.integers(1, 3, 60)),
        np.where(stranger, -np.inf, rng.normal(1, 1, 60)),
        rng.normal(size=60),
    )
    found = open_set(ranks, label, fars=(0.4,), bootstrap=Bootstrap(resamples=30, seed=2, confidence=0.8))
    draws, rng = [], np.random.default_rng(2)
    for _ in range(30):
        times = rng.multinomial(12, np.full(12, 1 / 12))[label]
        known, others = np.repeat(~stranger, times), np.repeat(ranks.other, times)
        own = np.repeat(np.where(ranks.rank == 1, ranks.own, -np.inf), times)[known]
        alarms = np.sort(others[~known])[::-1]
        draws.append((own > alarms[int(round(0.4 * len(alarms), 9))]).mean())
    np.testing.assert_allclose(found.draws[0.4], draws)
    assert found.dir[0.4][1:] == pytest.approx(np.quantile(draws, [0.1, 0.9]))


class PixelFaces:
    """Faces whose one pixel row is the embedding, up to its offset."""

    grey = False

    def __init__(self, rows, labels, people, prefix="picture"):
        self.rows, self.labels, self.people = np.asarray(rows), np.asarray(labels), people
        self.prefix, self.read = prefix, 0

    def __len__(self):
        return len(self.rows)

    def name(self, index):
        return f"{self.people[self.labels[index]]}/{self.prefix}{index}"

    def images(self, indices=None):
        chosen = list(range(len(self)) if indices is None else indices)
        self.read += len(chosen)
        pixels = np.clip(self.rows[chosen] * 20 + 128, 0, 255).astype(np.uint8)
        return np.repeat(pixels[:, None, :, None], 3, axis=3)


def embed(images):
    return images[:, 0, :, 0].astype(np.float32) - 128


def people_faces(people, each, *, noise, seed, prefix="picture"):
    """Pictures of named people: a name has its own direction in every set."""
    rng, rows = np.random.default_rng(seed), []
    for name in people:
        centre = np.random.default_rng(sum(name.encode())).normal(size=16)
        rows.append(centre + noise * rng.normal(size=(each, 16)))
    return PixelFaces(np.concatenate(rows), np.repeat(np.arange(len(people)), each), people, prefix)


NAMES = [f"p{chr(97 + i)}" for i in range(20)]


def test_people_are_matched_by_name_and_every_figure_is_the_definition_s():
    gallery = people_faces(NAMES[::-1], 2, noise=0.8, seed=1, prefix="g")
    probes = people_faces(NAMES[5:], 3, noise=1.6, seed=2)
    result = FaceIdentification(ranks=(1, 3), resamples=20, block=7)(embed, ProbesAndGallery(probes, gallery))

    def unit(faces):
        rows = embed(faces.images()).astype(np.float64)
        return rows / np.linalg.norm(rows, axis=1)[:, None]

    known = np.array([gallery.people[i] for i in gallery.labels])
    own = np.array([probes.people[i] for i in probes.labels])
    ranks = identity_ranks(unit(probes) @ unit(gallery).T, known, own)
    assert 0.1 < (ranks == 1).mean() < 0.9
    for k in (1, 3):
        assert result.figures["all"][f"rank{k}"].value == (ranks <= k).mean()
        assert list(result.trials["all"][f"rank{k}"].value) == list(ranks <= k)
    np.testing.assert_allclose(result.curves["all"]["cmc"].y, cmc(ranks, num_people=20))
    genuine, impostor = ([c for c in result.worst if c.same is same] for same in (True, False))
    assert [c.score for c in genuine] == sorted(c.score for c in genuine)
    assert [c.score for c in impostor] == sorted((c.score for c in impostor), reverse=True)
    assert all(c.left[:2] == c.right[:2] for c in genuine)
    assert all(c.left[:2] != c.right[:2] for c in impostor)
    other = (unit(probes) @ unit(gallery).T)[own[:, None] != known]
    assert impostor[0].score == pytest.approx(other.max(), abs=1e-6)
    best_own = [max(row[known == name]) for row, name in zip(unit(probes) @ unit(gallery).T, own, strict=True)]
    assert genuine[0].score == pytest.approx(min(best_own), abs=1e-6)
    assert Result.from_dict(result.to_dict()).figures == result.figures


def test_strangers_are_measured_when_a_false_alarm_rate_is_asked_for_and_refused_otherwise():
    gallery = people_faces(NAMES[:10], 2, noise=0.5, seed=1)
    probes = people_faces(NAMES, 5, noise=0.9, seed=2)
    data = ProbesAndGallery(probes, gallery)
    with pytest.raises(ProtocolError, match=r"no picture of pk, pl, pm, pn, po and 5 more.*give fars"):
        FaceIdentification()(embed, data)
    assert probes.read == 0  # refused before anything was embedded
    result = FaceIdentification(fars=(0.2, 0.5), resamples=20)(embed, data)
    figures = result.figures["all"]
    assert len(result.draws["all"]["dir@2e-1"]) == 20
    assert figures["dir@2e-1"].value <= figures["dir@5e-1"].value <= figures["rank1"].value
    assert len(result.trials["all"]["rank1"].value) == 50  # those whose person is in the gallery
    assert any("50 of 100 probes" in note for note in result.notes)
    with pytest.raises(
        ProtocolError, match=r"50 probes of unknown people cannot resolve FAR 0.01.*FAR they resolve is 0.2"
    ):
        FaceIdentification(fars=(0.01,))(embed, data)
    with pytest.raises(ProtocolError, match="needs probes of people it does not have"):
        FaceIdentification(fars=(0.5,))(embed, ProbesAndGallery(gallery, gallery))


def test_groups_share_a_gallery_that_is_embedded_once():
    gallery = people_faces(NAMES, 2, noise=0.5, seed=1)
    groups = {
        name: ProbesAndGallery(people_faces(NAMES, 2, noise=noise, seed=3, prefix=name), gallery)
        for name, noise in (("scarf", 2.0), ("sunglasses", 0.5))
    }
    result = FaceIdentification(resamples=5)(embed, groups)
    assert gallery.read == 40
    assert list(result.figures) == ["scarf", "sunglasses"]
    assert result.figures["scarf"]["rank1"].value < result.figures["sunglasses"]["rank1"].value
    assert result.data["pictures"] == 120
    twice = FaceIdentification(resamples=5)(embed, {**groups, "scarf again": groups["scarf"]})
    assert len(set(twice.worst)) == len(twice.worst) == 20
    alone = FaceIdentification(resamples=5)(embed, groups["scarf"])
    assert alone.figures["all"] == result.figures["scarf"]
    assert alone.data["fingerprint"] != result.data["fingerprint"]


def test_flip_fusion_changes_what_is_compared():
    gallery = people_faces(NAMES, 2, noise=0.5, seed=1)
    data = ProbesAndGallery(people_faces(NAMES, 3, noise=1.8, seed=2), gallery)
    plain, fused = (FaceIdentification(flip=flip, resamples=5)(embed, data) for flip in (False, True))

    def both(images):
        return embed(images) + embed(images[:, :, ::-1])

    by_hand = FaceIdentification(resamples=5)(both, data)
    assert fused.figures == by_hand.figures != plain.figures


@pytest.mark.parametrize(
    ("message", "data"),
    [
        ("holds one person only", lambda a: ProbesAndGallery(a, people_faces(NAMES[:1], 2, noise=1, seed=0))),
        ("shows a person of the gallery", lambda a: ProbesAndGallery(a, people_faces(["x", "y"], 2, noise=1, seed=0))),
        ("0 probes and 4 gallery", lambda a: ProbesAndGallery(PixelFaces(np.empty((0, 16)), np.empty(0, int), []), a)),
        ("at least one group", lambda a: {}),
    ],
)
def test_identification_says_what_is_wrong_with_its_data(message, data):
    with pytest.raises(ProtocolError, match=message):
        FaceIdentification()(embed, data(people_faces(NAMES[:2], 2, noise=1, seed=0)))


def test_options_are_checked_when_the_protocol_is_built():
    for protocol in (FaceIdentification, MegaFaceIdentification):
        with pytest.raises(OptionError, match="ranks"):
            protocol(ranks=(0,))
    for protocol in (FaceIdentification, MegaFaceIdentification, MaskedFaceVerification):
        with pytest.raises(OptionError, match="block"):
            protocol(block=0)
        for device in ("abacus", "cuda:99"):  # not after minutes of embedding
            with pytest.raises(OptionError, match=f"'{device}' cannot be used here"):
                protocol(device=device)
    with pytest.raises(ProtocolError, match="between 0 and 1"):
        FaceIdentification(fars=(1.5,))
    with pytest.raises(ShapeError, match="one model"):
        rank_probes(np.ones((2, 3)), [0, 1], np.ones((2, 4)), [0, 1])


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 4), st.booleans())
def test_megaface_hides_one_mate_at_a_time_among_all_distractors(seed, block, one_set):
    rng = np.random.default_rng(seed)

    def some(count, people, prefix):
        return PixelFaces(rng.choice([-1, 1], size=(count, 4)), rng.integers(0, len(people), count), people, prefix)

    probes = some(8, ["a", "b", "c"], "p")
    gallery = probes if one_set else some(6, ["c", "b", "a"], "g")
    distractors = some(5, ["x"], "d")
    score = {name: embed(probes.images()) @ embed(f.images()).T for name, f in (("g", gallery), ("d", distractors))}
    ranks, owner = [], []
    for i in range(len(probes)):
        for j in range(len(gallery)):
            mates = probes.people[probes.labels[i]] == gallery.people[gallery.labels[j]]
            if mates and not (one_set and i == j):
                ranks.append(1 + sum(score["d"][i] >= score["g"][i, j]))
                owner.append(probes.labels[i])
    assume(len(set(owner)) > 1)
    result = MegaFaceIdentification(ranks=(1, 3), resamples=3, block=block)(
        embed, WithDistractors(probes, gallery, distractors)
    )
    assert result.data["pairs"] == len(ranks)
    for k in (1, 3):
        assert result.figures["all"][f"rank{k}"].value == pytest.approx(np.mean(np.array(ranks) <= k))
    np.testing.assert_allclose(result.curves["all"]["cmc"].y, [np.mean(np.array(ranks) <= k) for k in (1, 2, 3)])
    lowest, highest = result.worst[0], next(c for c in result.worst if not c.same)
    length = 20.0**2 * 4
    assert highest.score == pytest.approx(score["d"].max() / length)
    assert lowest.score * length == pytest.approx(
        min(
            score["g"][i, j]
            for i in range(len(probes))
            for j in range(len(gallery))
            if probes.people[probes.labels[i]] == gallery.people[gallery.labels[j]] and not (one_set and i == j)
        )
    )


def test_a_distractor_who_is_among_the_probes_is_refused():
    probes = people_faces(NAMES[:3], 2, noise=1, seed=0)
    with pytest.raises(ProtocolError, match="distractors show pb, pc, who"):
        MegaFaceIdentification()(embed, WithDistractors(probes, probes, people_faces(NAMES[1:3], 2, noise=1, seed=1)))
    alone = people_faces(NAMES[:3], 1, noise=1, seed=0)
    with pytest.raises(ProtocolError, match="no probe has another picture"):
        MegaFaceIdentification()(embed, WithDistractors(alone, alone, people_faces(["x"], 2, noise=1, seed=1)))


def test_more_distractors_never_help():
    probes = people_faces(NAMES, 3, noise=1.2, seed=0)
    others = people_faces([f"z{i}" for i in range(60)], 2, noise=1, seed=1)
    few = PixelFaces(others.rows[:20], others.labels[:20], others.people)
    measure = MegaFaceIdentification(resamples=5)
    rates = [measure(embed, WithDistractors(probes, probes, d)).figures["all"]["rank1"].value for d in (few, others)]
    assert 0 < rates[1] < rates[0] < 1


def test_each_group_says_how_many_probes_may_be_the_gallery_s_own_photographs():
    gallery = people_faces(NAMES, 2, noise=0.8, seed=1)
    groups = {
        "copies": ProbesAndGallery(people_faces(NAMES, 2, noise=1, seed=2, prefix="picture"), gallery),
        "others": ProbesAndGallery(people_faces(NAMES, 2, noise=1, seed=3, prefix="another"), gallery),
    }
    (note,) = FaceIdentification(resamples=5)(embed, groups).notes
    assert note.startswith("copies: 40 of 40 probes bear the name of a gallery picture of the same person")


def test_megaface_says_so_too_where_probes_and_gallery_are_two_sets():
    probes, gallery = (people_faces(NAMES[:5], 2, noise=1, seed=seed) for seed in (0, 1))
    others = people_faces(["x", "y"], 2, noise=1, seed=2)
    (note,) = MegaFaceIdentification(resamples=5)(embed, WithDistractors(probes, gallery, others)).notes
    assert note.startswith("10 of 10 probes bear the name")
