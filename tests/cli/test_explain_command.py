"""`occmask explain` on pictures, folders and frames: what is drawn, what is said, and what is left out."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

import occmask
from occmask.cli import main
from occmask.cli.explain_output import Sheet
from occmask.shapes import REGIONS


def run(capsys, *words):
    code = main(["explain", *(str(word) for word in words), "--quiet"])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def face(seed):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (14, 12, 3), dtype=np.uint8)).resize((96, 112))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    occmask.save_weights(occmask.build("from_tiny", head=occmask.Spec("occupancy", width=4, context=4)), path)
    return path


@pytest.fixture
def faces(tmp_path):
    root = tmp_path / "faces"
    (root / "ann" / "deep").mkdir(parents=True)
    for name in ("2.png", "10.png", "1.png", "deep/3.png"):
        face(len(name)).save(root / "ann" / name)
    (root / "ann" / ".hidden.png").write_bytes(b"x")
    return root


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_a_folder_gives_a_picture_a_line_and_a_place_on_the_sheet_for_every_face(capsys, faces, weights, tmp_path):
    out = tmp_path / "out"
    code, said, err = run(capsys, faces, "--weights", weights, "-o", out)
    assert (code, err) == (0, "")
    assert said.startswith("4 faces drawn in")
    records = lines((out / "occlusion.jsonl").read_text())
    assert [r["face"] for r in records] == ["ann/1.png", "ann/2.png", "ann/10.png", "ann/deep/3.png"]  # as numbers
    for record in records:
        assert (out / record["picture"]).exists()
        assert np.shape(record["coverage"]) == (28, 24)
        assert np.shape(record["cells"]) == (5, 5)
        assert set(record["regions"]) == set(REGIONS)
        numbers = [record["covered"], *record["box"], *record["regions"].values(), *np.ravel(record["coverage"])]
        assert 0 <= min(numbers) <= max(numbers) <= 1
        assert all(round(number, 4) == number for number in numbers)
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.width > 4 * 96 * 2
    assert run(capsys, faces, "--weights", weights, "-o", out)[0] == 2  # the folder is no longer empty
    assert len(list(out.rglob("*.png"))) == 5


def test_json_says_what_the_model_says_and_prints_nothing_else(capsys, faces, weights):
    code, said, err = run(capsys, faces / "ann" / "1.png", faces / "ann" / "2.png", "--weights", weights, "--json")
    assert (code, err) == (0, "")
    model = occmask.load_model(weights)
    for record, name in zip(lines(said), ("1.png", "2.png"), strict=True):
        image = occmask.sized(occmask.read_picture(faces / "ann" / name), (112, 96), name, resize=False)
        with torch.inference_mode():
            answer = model.occlusion(occmask.to_tensor(image[None], model.config.input_spec))
        assert record["face"] == name
        assert record["frame"] is record["picture"] is None
        assert record["covered"] == pytest.approx(float(answer.covered), abs=1e-4)
        np.testing.assert_allclose(record["coverage"], answer.coverage[0], atol=1e-4)
        np.testing.assert_allclose(list(record["regions"].values()), answer.regions[0], atol=1e-4)


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "tiff"])
def test_every_frame_is_explained_in_order(capsys, weights, tmp_path, ending):
    frames = [face(seed) for seed in range(3)]
    clip = tmp_path / f"clip.{ending}"
    options = {} if ending == "tiff" else {"duration": 40}
    if ending == "webp":
        options["lossless"] = True
    frames[0].save(clip, save_all=True, append_images=frames[1:], **options)
    code, said, _ = run(capsys, clip, "--weights", weights, "--json")
    assert code == 0
    records = lines(said)
    assert [(r["face"], r["frame"]) for r in records] == [(clip.name, number) for number in range(3)]
    if ending in ("png", "tiff"):  # without loss: each frame is the picture that it was made of
        for record, frame in zip(records, frames, strict=True):
            frame.save(tmp_path / "frame.png")
            alone = lines(run(capsys, tmp_path / "frame.png", "--weights", weights, "--json")[1])[0]
            np.testing.assert_allclose(alone["coverage"], record["coverage"], atol=2e-4)
    out = tmp_path / "out"
    assert run(capsys, clip, "--weights", weights, "-o", out)[0] == 0
    assert sorted(p.name for p in (out / "clip").iterdir()) == ["000000.png", "000001.png", "000002.png"]


def test_what_cannot_be_read_is_named_and_the_rest_is_explained(capsys, faces, weights, tmp_path):
    (faces / "ann" / "notes.txt").write_text("no picture")
    (faces / "clip.mp4").write_bytes(b"no picture either")
    (faces / "torn.png").write_bytes((faces / "ann" / "1.png").read_bytes()[:60])
    face(0).resize((50, 50)).save(faces / "small.png")
    code, said, err = run(capsys, faces, "--weights", weights, "-o", tmp_path / "out")
    assert code == 0
    assert "4 faces" in said
    assert "4 skipped" in said
    told = {line.split(": ")[0].rsplit("/", 1)[1]: line for line in err.splitlines()}
    assert set(told) == {"notes.txt", "clip.mp4", "torn.png", "small.png"}
    assert "ffmpeg" in told["clip.mp4"]
    assert "--resize" in told["small.png"]
    code, said, err = run(capsys, faces / "torn.png", faces / "clip.mp4", "--weights", weights)
    assert (code, said) == (2, "")
    assert "torn.png" in err
    assert "clip.mp4" in err
    assert err.count("\n") == 1


def test_an_animation_that_breaks_off_is_explained_as_far_as_it_goes(capsys, weights, tmp_path):
    frames = [face(seed) for seed in range(4)]
    clip = tmp_path / "clip.tiff"
    frames[0].save(clip, save_all=True, append_images=frames[1:], compression="tiff_deflate")
    data = clip.read_bytes()
    with Image.open(clip) as file:
        file.seek(2)
        start = file.tag_v2[273][0]  # where the pixels of the third page begin
    clip.write_bytes(data[: start + 4] + b"\xff" * 200 + data[start + 204 :])
    code, said, err = run(capsys, clip, "--weights", weights, "--json")
    assert code == 0
    assert [r["frame"] for r in lines(said)] == [0, 1]
    assert "frame 2" in err


def test_the_output_is_never_its_own_input_and_no_picture_takes_the_place_of_another(capsys, faces, weights):
    face(1).save(faces / "ann" / "1.jpg")
    face(2).save(faces / "sheet.png")
    out = faces / "explained"
    code, said, _ = run(capsys, faces, "--weights", weights, "-o", out)
    assert code == 0
    assert "6 faces" in said
    records = lines((out / "occlusion.jsonl").read_text())
    assert len({r["picture"] for r in records}) == 6 == len(records)
    assert "sheet_2.png" in {r["picture"] for r in records}
    assert "error" in run(capsys, faces, "--weights", weights, "-o", faces)[2]


def test_people_are_told_the_regions(capsys, faces, weights):
    code, said, _ = run(capsys, faces / "ann" / "1.png", "--weights", weights)
    assert code == 0
    assert said.startswith("1.png: covered with probability 0.")
    assert "mouth" in said
    code, said, _ = run(capsys, faces, "--weights", weights)
    assert len(said.splitlines()) == 4


@pytest.mark.parametrize("count", [0, 1, 5, 6, 100, 1000])
def test_a_sheet_keeps_evenly_spaced_faces(count):
    sheet = Sheet(6)
    for number in range(count):
        sheet.add(number)
    assert min(count, 4) <= len(sheet.kept) <= 6
    assert len(set(np.diff(sheet.kept))) <= 1
    none = Sheet(0)
    none.add(1)
    assert none.kept == []


def test_a_model_that_sees_nothing_is_refused(capsys, faces, tmp_path):
    path = tmp_path / "plain.safetensors"
    occmask.save_weights(occmask.build("from_tiny", head=None), path)
    code, _, err = run(capsys, faces, "--weights", path)
    assert code == 2
    assert "attach" in err
