import json
import subprocess
import sys

import numpy as np
import pytest

from occmask.cli import main
from occmask.evaluation.bootstrap import Bootstrap
from occmask.evaluation.metrics import Estimate
from occmask.evaluation.outcomes import Trials
from occmask.protocols.result import Result

PERSON = np.repeat(np.arange(20), 5)


def saved(path, share, seed, **changes):
    hits = (np.random.default_rng(seed).random(len(PERSON)) < share).astype(float)
    accuracy = Bootstrap().mean(hits, PERSON)
    alone = {"auc": Estimate(share, share - 0.01, share + 0.01), "published_tar@1e-4": Estimate(1.0, 1.0, 1.0)}
    whole = {
        "protocol": "pairs",
        "settings": {"folds": 10, "confidence": 0.9, "resamples": 50, "seed": 0},
        "data": {"name": "lfw", "fingerprint": "ab" * 32},
        "model": {"name": f"model {seed}", "fingerprint": str(seed)},
        "figures": {group: {"accuracy": accuracy, **alone} for group in ("plain", "flip")},
        "trials": {group: {"accuracy": Trials(PERSON, hits)} for group in ("plain", "flip")},
        "draws": {"flip": {"published_tar@1e-4": np.full(50, share)}},
    }
    Result(**{**whole, **changes}).save(path)
    return str(path)


@pytest.fixture
def files(tmp_path):
    return saved(tmp_path / "a.json", 0.9, 1), saved(tmp_path / "b.json", 0.4, 2)


def run(capsys, *words):
    code = main(["compare", *words])
    return code, *capsys.readouterr()


def test_the_table_says_who_is_better_within_eighty_columns(capsys, files):
    code, out, err = run(capsys, *files)
    assert (code, err) == (0, "")
    assert out.isascii()
    assert max(len(line) for line in out.splitlines() if "/" not in line) <= 80  # but for the files' names
    assert "pairs on lfw, 90 % intervals over people" in out
    assert "(model 1)" in " ".join(out.split())
    lines = out.splitlines()
    row = lines[lines.index("plain") + 1].split()
    assert row[0] == "accuracy"
    a, b, difference = (float(word) for word in row[1:4])
    assert difference == pytest.approx(a - b, abs=0.011)
    assert " ".join(row[-3:]) == "A is better"
    assert sum("accuracy" in line and "A is better" in line for line in lines) == 2  # plain and flip


def test_columns_are_aligned_for_the_widest_figures(capsys, tmp_path):
    a, b = saved(tmp_path / "a.json", 1, 1), saved(tmp_path / "b.json", 0, 2)
    _, out, _ = run(capsys, a, b)
    rows = [line for line in out.splitlines() if "A is better" in line]
    assert "100.00   0.00  +100.00 [+100.00, +100.00]" in rows[0]
    assert len({row.index("A is better") for row in rows}) == 1
    _, out, _ = run(capsys, b, a)
    assert "-100.00 [-100.00, -100.00] A is worse" in out


def test_figures_without_a_paired_interval_have_their_own_table(capsys, files):
    _, out, _ = run(capsys, *files)
    second = out[out.index("not paired") :]
    assert "90.00 [89.00, 91.00]" in second
    assert "40.00 [39.00, 41.00]" in second
    assert "  published_tar@1e-4\n" in second  # a long name has a line of its own


def test_json_holds_the_same(capsys, files):
    code, out, _ = run(capsys, *files, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["files"] == {"a": files[0], "b": files[1]}
    figures = {(figure["group"], figure["metric"]): figure for figure in found["figures"]}
    assert figures["plain", "accuracy"]["verdict"] == "A is better"
    assert figures["plain", "accuracy"]["difference"]["low"] > 0
    assert figures["plain", "auc"]["difference"] is None
    assert figures["flip", "published_tar@1e-4"]["difference"]["value"] == 0
    assert found["notes"]


def test_unlike_results_and_foreign_files_are_one_line_errors(capsys, files, tmp_path):
    other = saved(tmp_path / "c.json", 0.4, 3, protocol="stress")
    code, out, err = run(capsys, files[0], other)
    assert (code, out) == (2, "")
    assert err == (
        "occmask compare: error: A is a result of 'pairs' and B of 'stress'; only results of one protocol can be "
        "compared\n"
    )
    (tmp_path / "d.json").write_text("{}")
    for path in (tmp_path / "d.json", tmp_path / "absent.json"):
        code, _, err = run(capsys, files[0], str(path))
        assert code == 2
        assert str(path) in err
        assert err.count("\n") == 1


def test_comparing_imports_no_torch(files):
    code = f"import sys; from occmask.cli import main; main(['compare', *{files!r}]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_two_matchers_of_one_model_are_compared_and_both_are_named(capsys, tmp_path):
    settings = {"folds": 10, "confidence": 0.9, "resamples": 50, "seed": 0}
    model = {"name": "mine", "fingerprint": "1"}
    fused = {**settings, "matcher": {"name": "fused", "share": 0.3}}
    a, b = (saved(tmp_path / f"{n}.json", 0.9, n, settings=s, model=model) for n, s in ((1, fused), (2, settings)))
    code, out, err = run(capsys, a, b)
    told = " ".join(out.split())
    assert (code, err) == (0, "")
    assert "1.json (mine, matched by fused with share=0.3)" in told
    assert "2.json (mine) " in told  # of a result from before there were others, it was the cosine
    assert "A and B are results of one model." in told
    assert "A compares faces by fused with share=0.3 and B by cosine." in told
    code, out, _ = run(capsys, a, b, "--json")
    assert [json.loads(out)[side]["matcher"] for side in "ab"] == ["fused with share=0.3", "cosine"]
