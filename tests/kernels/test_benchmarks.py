"""The benchmark itself: what it measures, that it refuses to time what is wrong, and what it writes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import __main__ as command
from benchmarks import competitors, floors, gate, margin_cases, matching_cases, numerics_cases, tables
from benchmarks.groups import Contender, Group
from benchmarks.measure import peak_memory, race, ratio, relative_error, spread
from benchmarks.record import Recorder, Row
from benchmarks.scenes import bare_truth, margin_truth, scene

TINY = margin_cases.Case(8, 60, 16, rounds=2)
MIB = 2**20


@torch.library.custom_op("occmask_test::hidden", mutates_args=())
def hidden(x: Tensor) -> Tensor:
    """Allocates 40 MB that no caller sees, and returns 4."""
    inside = torch.zeros(10_000_000)
    return torch.full((1_000_000,), float(inside[0] + x[0]))


def made(memory_case: str) -> Tensor:
    if memory_case == "freed before the result":
        torch.zeros(3 * MIB)
        return torch.zeros(MIB)
    result, more = torch.zeros(MIB), torch.zeros(2 * MIB)
    return result.add_(more[0])


def test_the_memory_meter_sees_what_a_custom_operator_allocates_inside():
    x = torch.ones(3)
    hidden(x)
    found = peak_memory(lambda: hidden(x))
    assert 44_000_000 <= found.peak < 45_000_000
    assert 40_000_000 <= found.working < 41_000_000


@pytest.mark.parametrize(
    ("memory_case", "peak", "working"), [("freed before the result", 12, 12), ("alive with the result", 12, 8)]
)
def test_what_is_returned_counts_for_the_peak_and_not_for_the_working_memory(memory_case, peak, working):
    found = peak_memory(lambda: made(memory_case))
    assert (round(found.peak / MIB), round(found.working / MIB)) == (peak, working)


def test_a_ratio_is_the_median_over_rounds_and_not_over_runs():
    seconds = {"slow": [2.0, 8.0, 3.0, 1.0, 5.0], "fast": [1.0, 2.0, 3.0, 0.4, 5.0]}
    found = ratio(seconds, "fast", "slow")  # rounds: 2, 4, 1, 2.5, 1
    assert (found.low, found.median, found.high) == pytest.approx((1.0, 2.0, 2.8))
    assert found.fastest == pytest.approx(2.5)
    assert spread([1.0]).median == spread([1.0]).high == 1.0


def test_every_contender_runs_once_a_round_and_none_is_always_first():
    order: list[str] = []
    contenders = {name: (lambda name=name: order.append(name)) for name in "abc"}
    seconds = race(contenders, rounds=3, warm_up=1)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3, "c": 3}
    assert len(race({"a": lambda: time.sleep(0.002)}, rounds=1, budget=0.05)["a"]) > 3


def test_nan_is_no_small_error():
    assert relative_error(torch.tensor([1.0, torch.nan]), torch.ones(2)) == float("inf")


def test_floors_are_those_of_the_design():
    def milliseconds(rows: int, classes: int, *, cached: bool, backward: bool = True) -> float:
        steps = floors.steps(rows, classes, 512, precision="bf16", cached=cached, backward=backward)
        return round(1e3 * floors.floor_seconds(steps, "bf16"), 3)

    assert milliseconds(1024, 93_431, cached=True) == 0.501
    assert milliseconds(1024, 93_431, cached=False) == 0.587
    assert milliseconds(1024, 93_431, cached=False, backward=False) == 0.218
    assert milliseconds(128, 10_572, cached=True) == 0.032


def test_all_formulations_of_the_margin_loss_agree(monkeypatch):
    monkeypatch.setattr(competitors, "compiled", competitors.eager)  # the compiler's part is tested below
    batch = scene(16, 200, 32, cosine=0.5)
    truth = {True: margin_truth(batch), False: bare_truth(batch)}
    agreed = []
    for competitor in competitors.everyone("cpu"):
        if not competitor.package:
            found = margin_cases.attempt(competitor, batch, truth[True], "cpu")
            assert isinstance(found, margin_cases.Able)
            assert set(found.errors) == {"loss", "embedding", "weight"}
            assert max(found.errors.values()) <= 1e-4, competitor.name
            agreed.append(competitor.name)
    assert agreed == ["ours", "ours, no cache", "ours, cached", "eager", "insightface style", "torch.compile"]


def test_the_form_for_the_compiler_is_the_same_loss(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    batch = scene(16, 200, 32, cosine=0.5)
    loss, *gradients = margin_cases.step(competitors.compiled(batch))
    assert max(margin_truth(batch).errors(loss, tuple(gradients)).values()) <= 1e-4


def test_a_missing_package_and_one_that_does_not_run_are_words_and_not_a_crash(monkeypatch):
    batch = scene(4, 9, 8, cosine=0.5)
    absent = competitors.Competitor("absent", competitors.liger, package="no-such-package==1")
    assert margin_cases.attempt(absent, batch, None, "cpu") == (
        "not installed: pip install --no-deps no-such-package==1"
    )

    def breaks(_: object) -> competitors.Prepared:
        raise RuntimeError("no driver\nand more")

    broken = competitors.Competitor("broken", breaks)
    assert margin_cases.attempt(broken, batch, None, "cpu") == "does not run on cpu: no driver"
    with pytest.raises(RuntimeError, match="no driver"):
        margin_cases.attempt(broken._replace(is_ours=True), batch, None, "cpu")

    monkeypatch.setattr(competitors, "installed", lambda name: None)
    monkeypatch.setattr(competitors, "compiled", competitors.eager)
    rows = list(margin_cases.measure(TINY, "cpu"))
    absent_rows = [row for row in rows if row.seconds is None]
    assert [row.implementation for row in absent_rows] == ["liger", "cce", "cce torch_compile"]
    assert all("not installed" in row.note for row in absent_rows)
    assert "liger not installed" in tables.group(absent_rows)


def test_who_takes_part_on_a_gpu_computes_the_same_loss_and_has_a_floor(monkeypatch):
    """On a CPU, where our rounding is imitated; what fails here fails there."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    batch = scene(16, 200, 32, cosine=0.5)
    seen = []
    for competitor in competitors.everyone("cuda"):
        assert margin_cases._floor(TINY, competitor, "cuda", backward=True)["floor_seconds"] > 0
        if not competitor.package:
            found = margin_cases.attempt(competitor, batch, margin_truth(batch), "cpu")
            assert isinstance(found, margin_cases.Able), found
            assert max(found.errors.values()) <= (1e-4 if competitor.precision == "ieee" else 0.2), competitor.name
        seen.append(competitor.name)
    assert len(set(seen)) == len(seen)
    assert margin_cases.reference("cuda") in seen
    assert margin_cases.reference("cpu") in [c.name for c in competitors.everyone("cpu")]


def few_checks(device: str):
    yield from (check for check in gate.checks(device) if "ieee, cache 0" in check.operation)


def few_competitors(_: str):
    yield competitors.Competitor("ours", lambda s: competitors.ours(s, precision=None, cache=0), is_ours=True)
    yield competitors.Competitor("eager", competitors.eager)


def test_the_file_has_the_promised_fields_and_the_tables_fit(monkeypatch, tmp_path, capsys):
    few = list(few_checks("cpu"))
    monkeypatch.setattr(gate, "checks", lambda device: few)
    monkeypatch.setattr(margin_cases, "CPU_QUICK", (TINY,))
    monkeypatch.setattr(margin_cases, "everyone", few_competitors)
    path = tmp_path / "runs" / "bench.json"
    assert command.main(["--quick", "--only", "margin", "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "reference: eager" in printed
    assert max(map(len, printed.splitlines()[1:-1])) <= tables.WIDTH  # but for the machine's and the file's name
    found = json.loads(path.read_text())
    assert found["complete"] is True
    assert {"device", "cpu", "threads", "load", "packages", "commit", "date", "python"} <= set(found["environment"])
    ours = next(r for r in found["rows"] if r["implementation"] == "ours" and r["part"] == "forward+backward")
    assert set(ours["seconds"]) == {"median", "low", "high", "least", "rounds"}
    assert set(ours["as_fast_as"]) == {"eager", margin_cases.PRODUCTS}
    assert set(ours["as_fast_as"]["eager"]) == {"median", "low", "high", "fastest"}
    assert set(ours["memory"]) == {"peak", "working"}
    assert ours["working_ratio"] > 0
    assert set(ours["error"]) == {"loss", "embedding", "weight"}
    assert ours["of_floor"] == ours["as_fast_as"][margin_cases.PRODUCTS]["median"]


def test_each_row_is_on_disk_before_the_next_is_measured(tmp_path):
    path = tmp_path / "bench.json"
    recorder = Recorder(path, device="cpu", arguments={})
    recorder.add(Row(table="mask", case="a", part="forward", implementation="ours"))
    found = json.loads(path.read_text())
    assert (len(found["rows"]), found["complete"]) == (1, False)


def test_right_operations_pass_every_check():
    rows = list(gate.verify("cpu"))
    assert [row.implementation for row in rows if not row.right] == []
    assert {row.implementation.split()[0] for row in rows} == {
        *("margin_lse", "margin_lse_and_rank", "reweighted_lse", "mask_apply", "mask_apply_and_gate", "optimize"),
    }


@pytest.mark.parametrize(
    ("operation", "breaks"),
    [
        ("margin_lse", lambda found: (found[0] * (1 + 1e-3), found[1])),
        ("margin_lse_and_rank", lambda found: (*found[:2], found[2] + (found[2] == 0))),
        ("mask_apply", lambda found: found * (1 + 1e-2)),
    ],
)
def test_a_wrong_operation_stops_the_benchmark_before_anything_is_timed(operation, breaks, monkeypatch, capsys):
    right = getattr(gate, operation)
    checked = [c for c in gate.checks("cpu") if c.operation.split()[0] == operation][-1:]
    monkeypatch.setattr(gate, "checks", lambda device: checked)
    monkeypatch.setattr(gate, operation, lambda *a, **k: breaks(right(*a, **k)))
    monkeypatch.setitem(command.MEASURES, "mask", lambda given: pytest.fail("timed what is wrong"))
    assert command.main(["--only", "mask"]) == 1
    assert f"{operation}" in capsys.readouterr().out


def test_an_error_beyond_its_limit_is_marked():
    row = Row(table="numerics", case="c", part="p", implementation="ours fp16", limit=1e-3, error={"loss": 2e-3})
    assert not row.right
    full = Row(**{**row.__dict__, "error": dict.fromkeys(("loss", "embedding", "weight"), 2e-3)})
    assert "beyond its limit" in tables.numerics([full])


def test_ours_keeps_its_limits_late_in_training_where_logits_in_half_precision_do_not(monkeypatch):
    monkeypatch.setattr(numerics_cases, "SIZE", (64, 5_000, 512))
    worst = {row.implementation: row.worst for row in numerics_cases.measure("cpu")}
    assert worst["ours ieee"] < 1e-5
    assert worst["ours bf16"] < worst["eager, logits in bf16"] / 4
    assert worst["ours fp16"] < worst["insightface, cosines in fp16"] / 4


def test_a_group_compares_ours_with_everybody_and_others_with_the_reference():
    contenders = [Contender(name=name, run=lambda: torch.ones(10)) for name in ("ours", "a", "b")]
    group = Group(table="mask", case="c", part="forward", reference="a", ours=("ours",), bytes_moved=8.0)
    rows = {row.implementation: row for row in group.measure(contenders, device="cpu", rounds=3)}
    assert {name: set(row.as_fast_as) for name, row in rows.items()} == {"ours": {"a", "b"}, "a": set(), "b": {"a"}}
    assert rows["b"].peak_ratio == 1.0
    printed = tables.group(list(rows.values()))
    assert "reference: a" in printed
    assert max(map(len, printed.splitlines())) <= tables.WIDTH


@pytest.mark.interpreter
@pytest.mark.parametrize("precision", ["fp16", "tf32"])
def test_every_kernel_of_the_kernel_table_can_be_launched(precision):
    from benchmarks import kernel_cases

    rows = kernel_cases.measure((8, 100, 64), precision, "cpu", rounds=1)
    names = [row.implementation.split()[0] for row in rows]
    assert [name for name in ("K0", "K1", "K2", "K1'", "K3", "K4") if name not in names] == []
    assert all(row.floor_seconds > 0 for row in rows)
    assert "K4 weight gradients" in tables.kernels(rows)


def test_requirements_are_those_the_competitors_name():
    pins = Path(competitors.__file__).with_name("requirements.txt").read_text().splitlines()
    assert {competitors.LIGER, competitors.CCE} == {line for line in pins if line and not line.startswith("#")}


def test_the_matching_table_compares_with_plain_cosine_and_says_how_exact_scores_are(monkeypatch):
    monkeypatch.setattr(matching_cases, "PROBES", 20)
    monkeypatch.setattr(matching_cases, "TEMPLATES", ((8, 6),))
    monkeypatch.setattr(matching_cases, "HELD", 30)  # so that the gallery is made of several blocks
    rows = list(matching_cases.measure(gallery=70, rounds=2))
    assert [row.implementation for row in rows] == ["plain cosine", "fused", "fused, as written"]
    assert set(rows[1].as_fast_as) == {"plain cosine", "fused, as written"}
    assert all(row.right for row in rows)
    assert 0 <= max(rows[1].error.values()) < matching_cases.LIMIT
