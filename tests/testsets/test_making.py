"""Test sets on disk: complete, exact, the same in any order, and made again byte for byte from the manifest."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from occmask.data.faces import ArrayPictures, FaceSet
from occmask.data.readers import load_folder
from occmask.errors import DataError, OptionError
from occmask.images.skipping import Skipped
from occmask.images.template import template_points
from occmask.spec import Spec
from occmask.testsets.making import make_test_set, remake_test_set
from occmask.testsets.manifest import PictureLine, pixels_sha256, read_manifest
from occmask.testsets.recipe import Made
from occmask.testsets.writer import TestSetWriter

SIZE = (56, 48)


def people(count: int = 6) -> FaceSet:
    """Two pictures a person; person a in colour, the others grey."""
    images = np.random.default_rng(0).integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)
    images[2:] = images[2:, ..., :1]
    names = [f"{'abcdef'[i // 2]}/{i % 2}.jpg" for i in range(count)]
    return FaceSet.from_arrays(images, np.arange(count) // 2, people=list("abcdef")[: count // 2], names=names)


@dataclass(frozen=True)
class TwoFaces:
    """Pairs of a face set, as `occmask.data.pairs.FacePairs` has them."""

    faces: FaceSet
    left: np.ndarray
    right: np.ndarray
    same: np.ndarray


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def lines(root: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (root / "manifest.jsonl").read_text().splitlines()]


RECIPES = [
    Spec("occ_lfw", factor=2.0),
    Spec("area", share=0.3),
    Spec("region", region="twoeyes"),
    Spec("face_mask"),
    Spec("partial", part="left_eye", crops=True),
    Spec("random_crop", crops=True),
    Spec("worn"),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
def test_every_line_says_exactly_what_was_written(recipe: Spec, tmp_path: Path) -> None:
    faces = people()
    header = make_test_set(faces, tmp_path / "out", recipe)
    found = lines(tmp_path / "out")
    assert found[0] == {"kind": "header", **header}
    assert header["counts"]["pictures"] == len(faces) == len(found) - 1
    assert header["seed"] == 100
    written = load_folder(tmp_path / "out" / "images", image_size=SIZE)
    assert written.people == faces.people
    for line, source, image, name in zip(found[1:], faces.images(), written.images(), written.names, strict=True):
        assert line["name"] == name
        assert line["source"] == name.replace(".png", ".jpg")
        assert line["source_sha256"] == pixels_sha256(source)
        assert line["sha256"] == hashlib.sha256(image.tobytes()).hexdigest()
        with Image.open(tmp_path / "out" / "visible" / name) as map_:
            assert map_.mode == "1"
            visible, map_as_bytes = np.array(map_), map_.convert("L").tobytes()
        assert line["visible_sha256"] == hashlib.sha256(map_as_bytes).hexdigest()
        assert line["covered"] == (~visible).sum()
        assert line["share"] == pytest.approx((~visible).mean())
        rows, columns = np.nonzero(~visible)
        if len(rows):
            assert line["box"] == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert line["box_fraction"] == pytest.approx(np.array(line["box"]) / (48, 56, 48, 56))
        if "crop" in line:
            x0, y0, x1, y1 = line["crop"]
            with Image.open(tmp_path / "out" / "crops" / name) as crop:
                assert (np.array(crop.convert("RGB")) == source[y0:y1, x0:x1]).all()


@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
def test_the_manifest_makes_the_set_again_byte_for_byte(recipe: Spec, tmp_path: Path) -> None:
    make_test_set(people(), tmp_path / "one", recipe, seed=7)
    remake_test_set(read_manifest(tmp_path / "one" / "manifest.jsonl"), people(), tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    make_test_set(people(), tmp_path / "three", recipe, seed=8)
    if recipe.name != "partial":
        assert tree(tmp_path / "one") != tree(tmp_path / "three")


def test_a_picture_is_the_same_whatever_else_is_in_the_set_and_in_whichever_order(tmp_path: Path) -> None:
    make_test_set(people(), tmp_path / "all", "occ_lfw")
    make_test_set(people().select([4, 1]), tmp_path / "two", "occ_lfw")
    whole, two = tree(tmp_path / "all" / "images"), tree(tmp_path / "two" / "images")
    assert list(two) == ["a/1.png", "c/0.png"]
    assert all(whole[name] == content for name, content in two.items())


# -- pairs ---------------------------------------------------------------------------------------
def pairs() -> TwoFaces:
    return TwoFaces(people(), np.array([0, 0, 2, 1]), np.array([1, 3, 3, 4]), np.array([True, False, True, False]))


def test_of_a_pair_only_the_second_picture_is_covered_once_however_many_pairs_it_is_second_in(tmp_path: Path) -> None:
    header = make_test_set(pairs().faces, tmp_path / "out", "area", pairs=pairs())
    assert header["counts"] == {"pictures": 6, "covered": 3, "untouched": 0, "clean": 3, "skipped": 0, "pairs": 4}
    with open(tmp_path / "out" / "pairs.csv", newline="") as file:
        listed = list(csv.DictReader(file))
    assert [row["left"] for row in listed] == [f"images/{name}.png" for name in ("a/0", "a/0", "b/0", "a/1")]
    covered = [f"images/{name}_covered.png" for name in ("a/1", "b/1", "b/1", "c/0")]
    assert [row["right"] for row in listed] == covered
    assert [row["same"] for row in listed] == ["1", "0", "1", "0"]
    assert [(row["left_person"], row["right_person"]) for row in listed] == [
        ("a", "a"),
        ("a", "b"),
        ("b", "b"),
        ("a", "c"),
    ]
    by_name = dict(zip(people().names, people().images(), strict=True))
    for row in listed:
        for side in ("left", "right"):
            with Image.open(tmp_path / "out" / row[side]) as picture:
                image = np.array(picture.convert("RGB"))
            source = by_name[row[side].removeprefix("images/").replace("_covered", "").replace(".png", ".jpg")]
            assert (image == source).all() == (side == "left")
    assert not (tmp_path / "out" / "images" / "c" / "1.png").exists()  # in no pair


def test_a_covered_picture_of_pairs_is_the_same_as_without_pairs(tmp_path: Path) -> None:
    make_test_set(people(), tmp_path / "all", "area")
    make_test_set(pairs().faces, tmp_path / "pairs", "area", pairs=pairs())
    whole, some = tree(tmp_path / "all" / "images"), tree(tmp_path / "pairs" / "images")
    assert some["b/1_covered.png"] == whole["b/1.png"]


def test_a_set_of_pairs_is_made_again_with_its_list(tmp_path: Path) -> None:
    lost = [Skipped("pair 9", "x.jpg was left out")]
    make_test_set(pairs().faces, tmp_path / "one", "face_mask", pairs=pairs(), skipped=lost)
    remake_test_set(read_manifest(tmp_path / "one" / "manifest.jsonl"), people(), tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert "pairs.csv" in tree(tmp_path / "two")
    assert {"kind": "skipped", "source": "pair 9", "reason": "x.jpg was left out"} in lines(tmp_path / "two")


# -- points --------------------------------------------------------------------------------------
def test_a_picture_with_its_own_points_is_covered_there_and_the_manifest_keeps_them(tmp_path: Path) -> None:
    faces, points = people(), {name: template_points(SIZE) + (0, 8 * (i == 0)) for i, name in enumerate(people().names)}
    make_test_set(faces, tmp_path / "template", Spec("partial", part="eyes"))
    make_test_set(faces, tmp_path / "own", Spec("partial", part="eyes"), points=points)
    one, two = lines(tmp_path / "template"), lines(tmp_path / "own")
    assert two[1]["sha256"] != one[1]["sha256"]
    assert two[2]["sha256"] == one[2]["sha256"]
    remake_test_set(read_manifest(tmp_path / "own" / "manifest.jsonl"), faces, tmp_path / "again")
    assert tree(tmp_path / "own") == tree(tmp_path / "again")
    del points["b/0.jpg"]
    with pytest.raises(DataError, match=r"1 of 6 pictures have no points: b/0\.jpg"):
        make_test_set(faces, tmp_path / "lacking", "face_mask", points=points)
    points["b/0.jpg"] = np.zeros((5, 2))
    with pytest.raises(DataError, match=r"b/0\.jpg: the five points span no face"):
        make_test_set(faces, tmp_path / "bad", "face_mask", points=points)


# -- nothing is lost, nothing is overwritten -----------------------------------------------------
def test_what_was_skipped_is_in_the_manifest_with_its_reason(tmp_path: Path) -> None:
    faces = replace(people(), skipped=(Skipped("z/9.jpg", "truncated"),))
    header = make_test_set(faces, tmp_path / "out", "area")
    assert header["counts"]["skipped"] == 1
    assert lines(tmp_path / "out")[-1] == {"kind": "skipped", "source": "z/9.jpg", "reason": "truncated"}


def test_names_that_differ_in_their_extension_only_keep_it(tmp_path: Path) -> None:
    faces = replace(people(), pictures=ArrayPictures(people().images(), ["a/0.jpg", "a/0.png", *"cdef"]))
    make_test_set(faces, tmp_path / "out", "area")
    assert {"a/0.jpg.png", "a/0.png.png", "b/c.png"} <= set(tree(tmp_path / "out" / "images"))


@pytest.mark.parametrize("names", [["a/x.png", "a/X.png"], ["a/x", "a/x"], ["a/..", "a/b"]])
def test_names_that_cannot_be_files_side_by_side_are_refused_before_anything_is_written(
    names: list[str], tmp_path: Path
) -> None:
    faces = replace(people(), pictures=ArrayPictures(people().images(), [*names, *"cdef"]))
    with pytest.raises(DataError, match="rename"):
        make_test_set(faces, tmp_path / "out", "area")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_anything_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(OptionError, match="not a new or empty folder"):
            make_test_set(people(), out, "area", resume=True)
    (tmp_path / "empty").mkdir()
    make_test_set(people(), tmp_path / "empty", "area")
    with pytest.raises(OptionError, match="not a new or empty folder"):
        make_test_set(people(), tmp_path / "empty", "area", resume=True)


@dataclass(frozen=True)
class Stopping(ArrayPictures):
    """Pictures that can be read up to one of them."""

    last: int = 0

    def read(self, index: int) -> np.ndarray:
        if index > self.last:
            raise KeyboardInterrupt
        return super().read(index)


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_an_interrupted_run_is_gone_on_with_and_gives_the_same_bytes(again: bool, torn: bool, tmp_path: Path) -> None:
    make_test_set(people(), tmp_path / "whole", "worn")
    stopping = replace(people(), pictures=Stopping(people().images(), people().names, last=3))
    out = tmp_path / "out"

    def make(faces: FaceSet, *, resume: bool) -> None:
        if again:
            remake_test_set(read_manifest(tmp_path / "whole" / "manifest.jsonl"), faces, out, resume=resume)
        else:
            make_test_set(faces, out, "worn", resume=resume)

    with pytest.raises(KeyboardInterrupt):
        make(stopping, resume=False)
    assert not (out / "manifest.jsonl").exists()
    if torn:
        unfinished = out / "manifest.jsonl.unfinished"
        unfinished.write_bytes(unfinished.read_bytes()[:-10])
    with pytest.raises(OptionError, match="--resume"):
        make(people(), resume=False)
    before = os.stat(out / "images" / "a" / "0.png").st_mtime_ns
    make(people(), resume=True)
    assert os.stat(out / "images" / "a" / "0.png").st_mtime_ns == before
    assert tree(out) == tree(tmp_path / "whole")


def test_a_run_that_was_killed_while_it_began_can_be_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Killed: nothing is flushed, closed or removed any more, so only what is on the disk already counts."""
    make_test_set(people(), tmp_path / "whole", "worn")
    out = tmp_path / "out"

    def killed(writer: TestSetWriter, picture: PictureLine, made: Made) -> None:
        shutil.copytree(out, tmp_path / "left")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TestSetWriter, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            make_test_set(people(), out, "worn")
    make_test_set(people(), tmp_path / "left", "worn", resume=True)
    assert tree(tmp_path / "left") == tree(tmp_path / "whole")


def test_going_on_with_other_settings_or_pictures_is_an_error(tmp_path: Path) -> None:
    stopping = replace(people(), pictures=Stopping(people().images(), people().names, last=3))
    with pytest.raises(KeyboardInterrupt):
        make_test_set(stopping, tmp_path / "out", "area")
    with pytest.raises(DataError, match="begun with another seed;"):
        make_test_set(people(), tmp_path / "out", "area", seed=5, resume=True)
    with pytest.raises(DataError, match="begun with other pictures"):
        make_test_set(people().select([3, 2, 1, 0]), tmp_path / "out", "area", resume=True)


# -- manifests that do not fit -------------------------------------------------------------------
@pytest.fixture
def made(tmp_path: Path) -> Path:
    make_test_set(people(), tmp_path / "one", "area")
    return tmp_path / "one" / "manifest.jsonl"


def test_another_source_picture_and_a_missing_one_are_named(made: Path, tmp_path: Path) -> None:
    images = people().images().copy()
    images[3, 0, 0, 0] ^= 1
    changed = replace(people(), pictures=ArrayPictures(images, people().names))
    with pytest.raises(DataError, match=r"b/1\.jpg: not the picture that the manifest was made from"):
        remake_test_set(read_manifest(made), changed, tmp_path / "two")
    with pytest.raises(DataError, match=r"not in the source.*c/1\.jpg"):
        remake_test_set(read_manifest(made), people().select([0, 1, 2, 3, 4]), tmp_path / "three")
    larger = FaceSet.from_arrays(np.zeros((1, 8, 8, 3), np.uint8), [0])
    with pytest.raises(DataError, match=r"of \(56, 48\)"):
        remake_test_set(read_manifest(made), larger, tmp_path / "four")


def test_a_picture_that_comes_out_otherwise_is_named(made: Path, tmp_path: Path) -> None:
    text = made.read_text().replace('"seed": 100', '"seed": 101')
    made.write_text(text)
    with pytest.raises(DataError, match=r"a/0\.png: this version covers it otherwise"):
        remake_test_set(read_manifest(made), people(), tmp_path / "two")


def test_occluder_pictures_that_changed_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "cards").mkdir()
    Image.new("RGB", (9, 9), (1, 2, 3)).save(tmp_path / "cards" / "card.png")
    recipe = Spec("area", occluders=(Spec("pictures", folder=str(tmp_path / "cards")),))
    header = make_test_set(people(), tmp_path / "one", recipe)
    assert list(header["occluder_files"]) == ["card.png"]
    assert "not known" in header["note"]
    manifest = read_manifest(tmp_path / "one" / "manifest.jsonl")
    remake_test_set(manifest, people(), tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    Image.new("RGB", (9, 9), (1, 2, 4)).save(tmp_path / "cards" / "card.png")
    with pytest.raises(DataError, match="occluder files are not those"):
        remake_test_set(manifest, people(), tmp_path / "three")


@pytest.mark.parametrize("name", ["../../evil.png", "/etc/x.png", "a/../b.png", "a/.x.png", "x.png", "a/b/c.png"])
def test_a_manifest_cannot_write_outside_its_folder(name: str, made: Path, tmp_path: Path) -> None:
    made.write_text(made.read_text().replace('"name": "a/0.png"', f'"name": "{name}"'))
    with pytest.raises(DataError, match=r"no person/picture\.png"):
        remake_test_set(read_manifest(made), people(), tmp_path / "two")
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: "", "begins with its header"),
        (lambda text: text[:-300], "line 7: not a line"),
        (lambda text: text[: text.rindex("{")], "cut short"),
        (lambda text: text.replace('"format": 1', '"format": 9'), "format 9"),
        (lambda text: text.split("\n", 1)[1], "begins with its header"),
        (lambda text: text.replace('"box"', '"bxo"', 1), "other entries"),
        (lambda text: "[1]\n" + text, "line 1: not a line"),
    ],
)
def test_a_spoilt_manifest_is_refused_in_one_line(spoil: object, message: str, made: Path) -> None:
    made.write_text(spoil(made.read_text()))
    with pytest.raises(DataError, match=message) as e:
        read_manifest(made)
    assert "\n" not in str(e.value)


def test_a_header_without_what_is_needed_is_refused(made: Path, tmp_path: Path) -> None:
    made.write_text(made.read_text().replace('"recipe"', '"recpie"'))
    with pytest.raises(DataError, match="no usable recipe"):
        remake_test_set(read_manifest(made), people(), tmp_path / "two")
    with pytest.raises(DataError, match="cannot be read"):
        read_manifest(tmp_path / "none.jsonl")
