"""Lists of pairs as text: every kind is read as meant, and no text does worse than a clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from occmask.data.pairs import load_pairs
from occmask.errors import DataError
from occmask.records.pair_lists import MAX_BYTES, ListedPair, parse_pair_list, read_pair_list, write_pair_list

LFW = "2\t1\nAbel_Pacheco\t1\t4\nAbdel_Madi\t1\tDean_Barker\t12\nAkhmed\t2\t3\nTim\t1\tUri\t1\n"
LFW_PAIRS = [
    ("Abel_Pacheco/Abel_Pacheco_0001", "Abel_Pacheco/Abel_Pacheco_0004", True),
    ("Abdel_Madi/Abdel_Madi_0001", "Dean_Barker/Dean_Barker_0012", False),
    ("Akhmed/Akhmed_0002", "Akhmed/Akhmed_0003", True),
    ("Tim/Tim_0001", "Uri/Uri_0001", False),
]


def read(text: str) -> list[tuple[str, str, bool]]:
    return [(pair.left, pair.right, pair.same) for pair in parse_pair_list(text, "pairs.txt")]


@pytest.mark.parametrize("header", ["2\t1\n", "2 1\n", "2\n", "", "\n\n", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("gap", ["\t", " ", "   "])
def test_lfw_lists_are_read_with_any_header_line_end_and_gap(header: str, end: str, gap: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    text = (header + LFW.partition("\n")[2]).replace("\n", end).replace("\t", gap)
    path.write_bytes(text.encode())
    pairs = read_pair_list(path)
    assert [(pair.left, pair.right, pair.same) for pair in pairs] == LFW_PAIRS
    assert [(pair.left_person, pair.right_person) for pair in pairs] == [
        ("Abel_Pacheco", "Abel_Pacheco"),
        ("Abdel_Madi", "Dean_Barker"),
        ("Akhmed", "Akhmed"),
        ("Tim", "Uri"),
    ]


def test_a_person_with_spaces_in_the_name_needs_tabs() -> None:
    assert read("Abel Pacheco\t1\t4\n") == [("Abel Pacheco/Abel Pacheco_0001", "Abel Pacheco/Abel Pacheco_0004", True)]
    with pytest.raises(DataError, match="Names with spaces need tabs"):
        read("Abel Pacheco 1 Dean Barker 4\n")


@pytest.mark.parametrize("lines", [LFW.replace("2\t1", "2\t2"), LFW.replace("2\t1", "10\t300"), "3\n" + LFW[4:]])
def test_a_list_that_is_not_what_its_header_promises_is_refused(lines: str) -> None:
    with pytest.raises(DataError, match=r"the header promises .* and the lines hold 2 and 2"):
        read(lines)


def test_path_lists_are_read_with_every_label() -> None:
    words = {"1": True, "0": False, "-1": False, "True": True, "false": False, "YES": True, "no": False}
    text = "".join(f"a/{word}.jpg b/{word}.jpg {word}\n" for word in words)
    assert read(text) == [(f"a/{word}.jpg", f"b/{word}.jpg", same) for word, same in words.items()]
    assert read("my face.jpg\tother face.jpg\t1\n") == [("my face.jpg", "other face.jpg", True)]
    assert read("1.png 2.png 1\n1.png 3.png 0\n")[1] == ("1.png", "3.png", False)


def test_bare_numbers_are_paths_once_a_line_has_a_picture_0() -> None:
    assert read("12 13 1\n12 14 0\nx 15 1\n") == [("12", "13", True), ("12", "14", False), ("x", "15", True)]


def test_comma_separated_lists_need_no_header() -> None:
    assert read("a.png,b.png,1\na.png,c.png,no\n") == [("a.png", "b.png", True), ("a.png", "c.png", False)]
    (pair,) = parse_pair_list("a.png,b.png,0,Ann,Bob", "x")
    assert pair == ListedPair(1, "a.png", "b.png", False, "Ann", "Bob")


def test_a_header_says_where_the_columns_are() -> None:
    text = 'score,Same,right , left,right_person,left_person\r\n0.5,true,"b,1.png",a.png,Bob,\r\n\r\n,0,d,c,,\r\n'
    assert parse_pair_list(text, "x") == [
        ListedPair(2, "a.png", "b,1.png", True, None, "Bob"),
        ListedPair(4, "c", "d", False),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no pairs; expected lines of left,right,same"),
        ("\n \n", "no pairs"),
        (",,\n", "a header and no pairs"),
        ("left,right,same\n", "a header and no pairs"),
        ("10\t300\n", "a header and no pairs"),
        ("left,same,b\na,1,c\n", "the header has no column right"),
        ("a,b,1\na,b,maybe\n,c,1\na,b\n", r"3 of 4 lines are no pair: line 2: 'a,b,maybe'; line 3: ',c,1'; line 4"),
        ('a,b,1\n"a,b,1\n', "line 2: not comma-separated"),
        ("a b 1\nb c\n", r"1 of 2 lines are no pair: line 2: 'b c'; expected 'path path label'"),
        ("Ann 1 2\nBob 1 x 2 3\n", r"line 2: 'Bob 1 x 2 3'; expected LFW's"),
        ("x\n" * 9, "line 5: 'x' and 4 more"),
    ],
)
def test_lines_that_are_no_pairs_are_named(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(text)
    assert str(caught.value).startswith("pairs.txt: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the list of pairs cannot be read"):
        read_pair_list(tmp_path / "none.txt")
    with pytest.raises(DataError, match="the list of pairs cannot be read"):
        read_pair_list(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        read_pair_list("a\0b")
    with pytest.raises(DataError, match="cannot be written"):
        write_pair_list(tmp_path, [])
    huge = tmp_path / "huge.txt"
    with open(huge, "wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(DataError, match="are no list of pairs"):
        read_pair_list(huge)


# Anything that can be a file's name on Linux, UTF-8 or not
PRINTED = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from(' ,"\r\n\t;'))
NAMES = (PRINTED | st.binary(max_size=8).map(lambda data: data.decode("utf-8", errors="surrogateescape"))).filter(
    str.strip
)


@given(st.lists(st.tuples(NAMES, NAMES, st.booleans()), min_size=1, max_size=6))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, pairs: list) -> None:
    path = tmp_path_factory.mktemp("lists") / "pairs.csv"
    write_pair_list(path, pairs)
    assert [(pair.left, pair.right, pair.same) for pair in read_pair_list(path)] == pairs


# -- mutations -----------------------------------------------------------------------------------
CSV = 'left,right,same,left_person,right_person\na/1.png,"b,x/2.png",0,a,b\na/1.png,a/2.png,true,a,a\nc,d,no,,\n'
PIECES = [b",", b"\t", b"\n", b"\r", b'"', b"\0", b"\xff", b"\xef\xbb\xbf", b"1", b"-1", b"9" * 5000, b"\x80", b" "]


def mutated(text: bytes, rng: np.random.Generator) -> bytes:
    """One to four small harms: bits, bytes, lines or pieces put in, taken out, doubled or cut off."""
    for _ in range(rng.integers(1, 5)):
        at, to = sorted(rng.integers(0, len(text) + 1, 2).tolist())
        lines = text.splitlines(keepends=True)
        match rng.integers(7):
            case 0 if text:
                at = int(rng.integers(len(text)))
                text = text[:at] + bytes([text[at] ^ (1 << int(rng.integers(8)))]) + text[at + 1 :]
            case 1:
                text = text[:at] + PIECES[rng.integers(len(PIECES))] + text[at:]
            case 2:
                text = text[:at] + text[min(to, at + 8) :]
            case 3:
                text = text[:to] + text[at:]
            case 4:
                text = text[:to]
            case 5 if lines:
                text = b"".join(lines[i] for i in rng.permutation(len(lines)))
            case _:
                text = text[:at] + rng.bytes(int(rng.integers(1, 6))) + text[at:]
    return text


@pytest.mark.parametrize("text", [LFW, LFW[4:], CSV, "a.jpg b.jpg 1\nc.jpg d.jpg 0\n"])
def test_no_mutation_of_a_list_does_worse_than_a_clear_error(text: str) -> None:
    rng = np.random.default_rng(0)
    good, errors = 0, []
    for _ in range(2500):
        harmed = mutated(text.encode(), rng).decode("utf-8-sig", errors="surrogateescape")
        try:
            pairs = parse_pair_list(harmed, "pairs.txt")
        except DataError as e:
            errors.append(str(e))
            continue
        good += 1
        assert pairs
        for pair in pairs:
            assert pair.left.strip()
            assert pair.right.strip()
            assert isinstance(pair.same, bool)
    assert all(error.startswith("pairs.txt: ") and "\n" not in error for error in errors)
    assert min(good, len(errors)) > 100  # both ways are taken


@pytest.mark.slow
@pytest.mark.parametrize("text", [LFW, CSV])
def test_no_mutated_file_of_pairs_does_worse_than_a_clear_error(text: str, tmp_path: Path) -> None:
    for name in {name for pair in [*LFW_PAIRS, *read(CSV)] for name in pair[:2]}:
        path = tmp_path / (name if name.endswith(".png") else f"{name}.png")
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (2, 2), 9).save(path)
    rng = np.random.default_rng(1)
    good, errors = 0, []
    for number in range(2000):
        (tmp_path / "pairs.txt").write_bytes(mutated(text.encode(), rng))
        try:
            pairs = load_pairs(tmp_path / "pairs.txt", image_size=(2, 2), unreadable=("refuse", "skip")[number % 2])
        except DataError as e:
            errors.append(str(e))
            continue
        good += 1
        assert len(pairs)
        assert pairs.faces.images().shape == (len(pairs.faces), 2, 2, 3)
        assert set(pairs.left.tolist()) | set(pairs.right.tolist()) == set(range(len(pairs.faces)))
    assert all(str(tmp_path) in error and "\n" not in error for error in errors)
    assert min(good, len(errors)) > 100
