"""`occmask evaluate`: what it prints, what it writes, and what bad input gives."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import occmask
from occmask.cli import main
from occmask.cli.evaluation_data import EvaluationData, pictures_of
from occmask.data.faces import FaceSet
from occmask.evaluation.outcomes import Comparison
from occmask.protocols import PROTOCOLS
from occmask.protocols.inputs import ProbesAndGallery
from occmask.protocols.result import Result
from occmask.records.pickled.writer import write_bin

STRESS = ["--set", "areas=[0.3]", "--set", 'occluders=["cup","book"]', "--set", "cells=2", "--set", "resamples=5"]


def run(capsys, *words):
    code = main(["evaluate", *(str(word) for word in words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    occmask.save_weights(occmask.build("from_tiny", image_size=(56, 48)), path)
    return path


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    root = tmp_path_factory.mktemp("people") / "faces"
    rng = np.random.default_rng(0)
    for person in ("ann", "bob", "cyd", "dan"):
        (root / person).mkdir(parents=True)
        base = rng.integers(0, 256, (7, 6, 3)).repeat(8, 0).repeat(8, 1)
        for number in range(4):
            noisy = np.clip(base + rng.integers(-20, 20, base.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(root / person / f"{number}.png")
    return root


def test_a_run_prints_a_table_and_writes_a_result_and_a_page(capsys, weights, faces, tmp_path):
    out_folder = tmp_path / "new" / "run"
    code, out, err = run(capsys, weights, faces, *STRESS, "--out", out_folder, "--quiet")
    assert (code, err) == (0, "")
    assert "stress on faces: 4 people, 8 gallery, 8 probes" in out
    assert "cup *" in out
    assert max(len(line) for line in out.split("\n\n")[0].splitlines()) <= 80
    result = Result.load(out_folder / "result.json")
    assert list(result.figures) == ["clean", "area_30", "cup", "book"]
    assert set(result.figures["cup"]) == {"rank1", "cosine", "iou"}  # 48 impostor pairs resolve no FAR
    assert result.model["name"] == "tiny"
    assert result.maps["rank1"]["fall"].shape == (2, 2)
    page = (out_folder / "report.html").read_text()
    assert page.count("data:image/jpeg") == 2 * len(result.worst)
    assert result.model["fingerprint"] in page


def test_the_notes_are_printed_under_the_table(capsys, weights, faces):
    words = ["--gallery", faces, "--protocol", "identification", "--quiet"]
    code, out, _ = run(capsys, weights, faces, *words)
    assert code == 0
    assert "note: all: 16 of 16 probes bear the name of a gallery picture of the same person" in out


def test_settings_follow_one_flag_and_may_be_spelled_as_in_python_and_a_wrong_one_is_named(capsys, weights, faces):
    code, out, _ = run(capsys, weights, faces, *STRESS, "--set", "cells=None", "seed=3", "--quiet", "--json")
    settings = json.loads(out)["settings"]
    assert (code, settings["cells"], settings["seed"]) == (0, None, 3)
    code, _, err = run(capsys, weights, faces, *STRESS, "--set", "areas=0.4")
    assert code == 2
    assert "protocol 'stress': 'areas' is a list, each of it a number" in err


def test_json_is_the_result_and_no_pictures_leaves_faces_out(capsys, weights, faces, tmp_path):
    code, out, _ = run(capsys, weights, faces, *STRESS, "--out", tmp_path, "--no-pictures", "--json", "--quiet")
    assert code == 0
    assert json.loads(out) == json.loads((tmp_path / "result.json").read_text())
    page = (tmp_path / "report.html").read_text()
    assert "data:image" not in page
    assert "ann/" in page


def test_a_bar_counts_the_embedded_faces_unless_it_is_quiet(capsys, weights, faces):
    _, _, err = run(capsys, weights, faces, *STRESS)
    assert "faces/s" in err


def test_skipped_pictures_are_named(capsys, weights, faces, tmp_path):
    root = tmp_path / "faces"
    shutil.copytree(faces, root)
    (root / "ann" / "torn.png").write_bytes(b"no picture")
    code, _, err = run(capsys, weights, root, *STRESS, "--quiet")
    assert code == 2
    assert "torn.png" in err
    code, _, err = run(capsys, weights, root, *STRESS, "--quiet", "--unreadable", "skip")
    assert code == 0
    assert err.startswith("skipped ")
    assert "torn.png" in err


def test_the_data_must_be_what_the_model_was_trained_on(capsys, weights, faces, tmp_path):
    code, _, err = run(capsys, weights, "orl", *STRESS, "--quiet")
    assert code == 2
    assert "aligned as 'orl' and the model was trained on 'arcface'" in err
    assert run(capsys, weights, faces, *STRESS, "--quiet", "--template", "orl")[0] == 2
    large = tmp_path / "large"
    shutil.copytree(faces, large)
    for path in large.glob("*/*.png"):
        Image.open(path).resize((96, 112)).save(path)
    assert run(capsys, weights, large, *STRESS, "--quiet")[0] == 2
    assert run(capsys, weights, large, *STRESS, "--quiet", "--resize")[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{tmp}/none.safetensors", "{faces}"], "no weights file"),
        (["{weights}", "{faces}", "--protocol", "stres"], "Did you mean 'stress'"),
        (["{weights}", "{faces}", "--set", "aeras=[0.1]"], "Did you mean 'areas'"),
        (["{weights}", "{faces}", "--set", "areas"], "name=value"),
        (["{weights}", "{faces}", "--set", "far=1e-6"], "smallest FAR they resolve"),
        (["{weights}", "{faces}", "--protocol", "mfr", "--set", "fars=1e-2"], "'fars' is a list"),
        (["{weights}", "{faces}", "--protocol", "verification"], "no protocol is called 'verification'"),
        (["{weights}", "{faces}", "--device", "abacus"], "'abacus' cannot be used here"),
        (["{weights}", "{faces}", "--out", "{weights}/x"], "cannot make the folder"),
        (["{weights}", "{faces}", "--pairs", "p.txt", "--gallery", "g", "--protocol", "stress"], "leave one of them"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(capsys, weights, faces, tmp_path, words, said):
    names = {"weights": weights, "faces": faces, "tmp": tmp_path}
    code, out, err = run(capsys, *(word.format(**names) for word in words), "--quiet")
    assert code == 2
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


class Recording:
    """A protocol that keeps what it was given."""

    given = None

    def __call__(self, embed, data):
        type(self).given = data
        faces = data.faces if hasattr(data, "faces") else data.probes
        embed(faces.images())
        return Result(
            protocol="recording",
            settings={},
            data={"fingerprint": "f"},
            figures={},
            worst=(Comparison(faces.name(0), faces.name(1), 0.5, True),),
        )


def test_pairs_and_galleries_reach_the_protocol(capsys, weights, faces, tmp_path):
    PROTOCOLS.register("recording", Recording)
    options = ["--protocol", "recording", "--quiet", "--out", tmp_path / "out"]
    listed = tmp_path / "list.csv"
    first, second = sorted(path.relative_to(faces).as_posix() for path in faces.glob("*/*"))[:2]
    listed.write_text(f"left,right,same\n{first},{second},1\n{first},gone.png,0\n")
    code, out, err = run(capsys, weights, faces, "--pairs", listed, "--unreadable", "skip", *options)
    assert code == 0, err
    assert Recording.given.same.tolist() == [True]
    assert "gone.png" in err
    assert "recording on list.csv" in out
    assert (tmp_path / "out" / "report.html").read_text().count("data:image/jpeg") == 2
    code, out, err = run(capsys, weights, faces, "--gallery", faces, *options)
    assert code == 0, err
    assert len(Recording.given.probes) == len(Recording.given.gallery) == 16
    assert "recording on faces in faces" in out
    code, out, err = run(capsys, weights, faces, "--distractors", faces, *options)
    assert code == 0, err
    assert Recording.given.probes is Recording.given.gallery is not Recording.given.distractors
    code, out, err = run(capsys, weights, faces, "--gallery", faces, "--pairs", listed, *options)
    assert code == 2
    assert "leave one of them out" in err


def looked_at(data, **words):
    words = {"pairs": None, "gallery": None, "distractors": None, "protocol": None, **words}
    return EvaluationData(SimpleNamespace(data=str(data), **words))


def test_pairs_are_the_default_of_a_bin_and_of_a_list():
    assert looked_at("a/lfw.bin").protocol == "pairs"
    assert looked_at("faces", pairs="p.txt").protocol == "pairs"
    assert looked_at("faces").protocol == "stress"
    assert looked_at("a/lfw.bin", protocol="stress").pairs is None


def test_a_pickle_of_pairs_is_known_by_its_content_too(tmp_path):
    write_bin(tmp_path / "lfw.pkl", [b"a picture", b"another"], [True])
    found = looked_at(tmp_path / "lfw.pkl")
    assert (found.protocol, found.pairs) == ("pairs", tmp_path / "lfw.pkl")


def test_probes_and_gallery_of_one_name_are_shown_each_from_its_own_set():
    def one(grey):
        return FaceSet.from_arrays(np.full((1, 4, 4, 3), grey, np.uint8), [0], people=["ann"], names=["ann/1.png"])

    probes, gallery = one(10), one(200)
    for data in (ProbesAndGallery(probes, gallery), {"scarf": ProbesAndGallery(probes, gallery)}):
        pictures = pictures_of(data)
        assert (pictures.left("ann/1.png") == 10).all()
        assert (pictures.right("ann/1.png") == 200).all()


def test_a_test_set_brings_its_alignment_its_pairs_and_how_much_is_visible(capsys, weights, faces, tmp_path):
    listed = tmp_path / "pairs.csv"
    names = sorted(path.relative_to(faces).as_posix() for path in faces.glob("*/*"))
    rows = [f"{names[i]},{names[j]},{int(names[i][0] == names[j][0])}" for i in range(8) for j in range(8, 16)]
    rows += [f"{names[i]},{names[i + 1]},1" for i in range(0, 16, 2)]
    listed.write_text("left,right,same\n" + "\n".join(rows) + "\n")
    made, parts = tmp_path / "made", tmp_path / "parts"
    size = ["--image-size", "112", "96", "--resize", "--quiet"]
    assert main([str(w) for w in ("occlude", faces, made, "--recipe", "area", "--pairs", listed, *size)]) == 0
    assert main([str(w) for w in ("occlude", faces, parts, "--recipe", "partial", *size)]) == 0
    capsys.readouterr()
    assert looked_at(made).protocol == "pairs"
    PROTOCOLS.register("recording", Recording)
    options = ["--protocol", "recording", "--resize", "--quiet"]
    code, out, err = run(capsys, weights, made, "--pairs", made / "pairs.csv", *options)
    assert code == 0, err
    assert len(Recording.given.same) == len(rows)
    code, out, err = run(capsys, weights, parts, "--gallery", faces, "--protocol", "pfr", "--resize", "--quiet")
    assert code == 0, err
    assert "rank" in out
    code, out, err = run(capsys, weights, faces, "--gallery", faces, "--protocol", "pfr", "--resize", "--quiet")
    assert code == 2
    assert "occmask occlude" in err


@pytest.mark.parametrize(
    ("protocol", "change", "told"),
    [
        ("pairs", "fars=1e-4", "'fars' is a list, each of it a number or None, not 0.0001"),
        ("pairs", "folds=ten", "'folds' is a whole number, such as 10, not 'ten'"),
        ("pairs", "folds=2.5", "'folds' is a whole number, such as 10, not 2.5"),
        ("pairs", "published=no", "'published' is True or False, such as False, not 'no'"),
        ("pairs", "resamples=many", "'resamples' is a whole number, such as 200, not 'many'"),
        ("pairs", "seed=-1", "seed is -1; at least 0 is needed"),
        ("stress", "areas=0.2", "'areas' is a list, each of it a number"),
        ("stress", "gallery=x", "'gallery' is a whole number, such as 5, not 'x'"),
        ("identification", "ranks=5", "'ranks' is a list, each of it a whole number, such as (1, 5), not 5"),
    ],
)
def test_an_option_of_another_kind_is_one_line_and_says_the_kind(capsys, weights, faces, protocol, change, told):
    code, out, err = run(capsys, weights, faces, "--protocol", protocol, "--set", change)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


def test_a_matcher_is_named_on_the_line_and_in_the_result(capsys, weights, faces, tmp_path):
    words = [weights, faces, *STRESS, "--quiet"]
    assert run(capsys, *words, "--out", tmp_path / "cosine")[0] == 0
    code, out, err = run(capsys, *words, "--matcher", "fused", "--out", tmp_path / "fused")
    assert (code, err) == (0, "")
    assert "the figure of that name is the matcher's mean score" in out
    a, b = (Result.load(tmp_path / name / "result.json") for name in ("fused", "cosine"))
    assert (a.settings["matcher"], b.settings["matcher"]) == ("fused", "cosine")
    assert a.figures["area_30"]["cosine"].value != b.figures["area_30"]["cosine"].value
    assert a.figures["area_30"]["iou"] == b.figures["area_30"]["iou"]
    assert main(["compare", *(str(tmp_path / name / "result.json") for name in ("fused", "cosine"))]) == 0
    assert "matched by fused" in " ".join(capsys.readouterr().out.split())
    code, out, _ = run(capsys, *words, "--matcher", '{"name": "fused", "share": 0.3}', "--json")
    assert (code, json.loads(out)["settings"]["matcher"]) == (0, {"name": "fused", "share": 0.3})


@pytest.mark.parametrize(
    ("matcher", "told"),
    [
        ("fusd", "Did you mean 'fused'"),
        ('{"name": "fused", "share": 3}', "share lies in [0, 1]"),
        ('{"name": "fused",', "is no JSON"),
        ('{"share": 0.3}', "a component is a name"),
        ("", "begins with a component's name"),
    ],
)
def test_a_wrong_matcher_is_told_in_one_line_before_anything_is_read(capsys, matcher, told):
    code, out, err = run(capsys, "no-such-weights", "no-such-faces", "--matcher", matcher)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err
