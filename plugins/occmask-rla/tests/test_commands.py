"""rla-restore and rla-quality, as the command line runs them."""

import argparse
import json

import numpy as np
import pytest
import torch
from occmask_rla import quality_command, restore_command
from occmask_rla.measuring import mean_face, measure_quality
from occmask_rla.restoring import blend, fill, restore
from PIL import Image

import occmask

SIZE = (112, 96)


def run(command, *words: str) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    command.run(parser.parse_args([*words]))


def model(**changes) -> occmask.FaceModel:
    torch.manual_seed(0)
    restorer = occmask.Spec("rla", grid=(2, 2), units=8, steps=1)
    return occmask.build("rla_tiny", restorer=restorer, template="orl", **changes).eval()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("rla") / "model.safetensors"
    occmask.save_weights(model(), path)
    return path


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "faces"
    (folder / "deep").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("a.png", "deep/b.png"):
        Image.fromarray(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_a_folder_of_faces_is_written_side_by_side(weights, pictures, tmp_path, capsys):
    run(restore_command, str(pictures), "--weights", str(weights), "-o", str(tmp_path / "out"), "--json", "--quiet")
    written = json.loads(capsys.readouterr().out)
    assert [entry["picture"] for entry in written] == [str(tmp_path / "out" / n) for n in ("a.png", "deep/b.png")]
    drawn = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    covered = np.asarray(Image.open(pictures / "a.png"))
    expected = restore(occmask.load_model(weights), covered[None])
    assert drawn.shape == (112, 3 * 96 + 8, 3)
    assert np.array_equal(drawn[:, :96], covered)
    assert np.array_equal(drawn[:, 100:196, 0], (255 * expected.cover[0]).round().astype(np.uint8))
    assert np.array_equal(drawn[:, 200:], expected.images[0])
    assert written[0]["covered"] == pytest.approx(expected.cover[0].mean(), abs=1e-4)


def test_one_face_is_enough(weights, pictures, tmp_path, capsys):
    run(restore_command, str(pictures / "a.png"), "--weights", str(weights), "-o", str(tmp_path / "out"), "--quiet")
    assert "% covered" in capsys.readouterr().out
    assert (tmp_path / "out" / "a.png").is_file()


def test_what_cannot_be_restored_is_said(weights, pictures, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(occmask.DataError, match="no pictures"):
        run(restore_command, str(empty), "--weights", str(weights), "-o", str(tmp_path / "out"))
    Image.new("RGB", (50, 50)).save(empty / "small.png")
    with pytest.raises(occmask.DataError, match=r"small\.png"):
        run(restore_command, str(empty), "--weights", str(weights), "-o", str(tmp_path / "out"))
    plain = tmp_path / "plain.safetensors"
    occmask.save_weights(occmask.build("from_tiny", head=None), plain)
    with pytest.raises(occmask.OptionError, match="without a restorer"):
        run(restore_command, str(pictures), "--weights", str(plain), "-o", str(tmp_path / "out"))


def test_the_out_folder_may_not_be_a_file(weights, pictures, tmp_path):
    (tmp_path / "out").write_text("taken")
    with pytest.raises(occmask.OptionError, match="cannot write"):
        run(restore_command, str(pictures), "--weights", str(weights), "-o", str(tmp_path / "out"), "--quiet")


def test_a_bgr_model_gives_rgb_pictures_back():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)
    found = model(colour="BGR")
    with torch.no_grad():
        found.restorer.detector.start.fill_(-50.0)  # type: ignore[union-attr]  # nothing is covered
    assert np.array_equal(restore(found, pictures).images, pictures)


def test_the_mean_face_goes_where_the_face_is_covered_and_nowhere_else():
    pictures = np.zeros((1, 2, 2, 3), np.uint8)
    covered = np.array([[[True, False], [False, False]]])
    filled = fill(pictures, covered, np.full((2, 2, 3), 7.5))
    assert filled[0, 0, 0].tolist() == [7.5] * 3
    assert filled.sum() == 22.5


def test_a_face_is_blended_in_as_far_as_a_place_is_covered():
    pictures, cover = np.full((1, 1, 3, 3), 100, np.uint8), np.array([[[0.0, 0.5, 1.0]]])
    assert blend(pictures, cover, np.full((1, 3, 3), 20.0))[0, 0, :, 0].tolist() == [100.0, 60.0, 20.0]


def some_people() -> tuple[occmask.FaceSet, occmask.FaceSet]:
    faces = occmask.load_faces("orl")
    chosen = faces.select(np.flatnonzero(faces.labels < 3))
    return occmask.split_gallery_probes(chosen, gallery=5)


def test_quality_tells_five_candidates_with_intervals():
    training, probes = some_people()
    found = measure_quality(model(), training, probes, names=["area_30"])["area_30"]
    assert found.faces == 15
    for measure in (found.psnr, found.ssim):
        assert set(measure) == {"covered", "mean_face", "mean_face_found", "restored", "painted"}
        assert all(estimate.low <= estimate.value <= estimate.high for estimate in measure.values())
    assert found.psnr["mean_face"].value > found.psnr["covered"].value
    assert mean_face(training).shape == (112, 96, 3)


def test_quality_of_uncovered_faces_is_refused():
    with pytest.raises(occmask.OptionError, match="covers nothing"):
        measure_quality(model(), *some_people(), names=["clean"])


@pytest.fixture
def people(tmp_path):
    """A folder of three people's pictures."""
    faces, folder = some_people()[0], tmp_path / "people"
    for index in range(len(faces)):
        person = folder / faces.people[faces.labels[index]]
        person.mkdir(parents=True, exist_ok=True)
        Image.fromarray(faces.image(index)).save(person / f"{index:03d}.png")
    return str(folder)


def test_quality_prints_a_table_or_json(weights, people, capsys):
    words = (str(weights), people, "--template", "orl", "--gallery", "3", "--conditions", "cup", "--quiet")
    run(quality_command, *words)
    table = capsys.readouterr().out
    assert all(called in table for called in ("cup", "covered input", "mean face, true place", "restored"))
    run(quality_command, *words, "--json")
    assert set(json.loads(capsys.readouterr().out)["cup"]) == {"faces", "psnr", "ssim"}


def test_quality_of_faces_aligned_otherwise_is_refused(weights, people):
    with pytest.raises(occmask.DataError, match="aligned as 'arcface'"):
        run(quality_command, str(weights), people, "--gallery", "3")


def test_the_commands_are_found_by_their_entry_points():
    from importlib.metadata import entry_points

    found = {entry.name: entry for entry in entry_points(group="occmask.commands")}
    for name in ("rla-restore", "rla-quality"):
        module = found[name].load()
        assert module.__doc__
        assert "\n" not in module.__doc__
        assert callable(module.add_arguments)
        assert callable(module.run)
