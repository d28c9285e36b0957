import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occmask.errors import ProtocolError
from occmask.evaluation.metrics import Estimate
from occmask.evaluation.outcomes import Comparison, Curve, Trials
from occmask.protocols.result import Result

numbers = st.floats(allow_nan=False, allow_infinity=False)
rows = st.lists(numbers, max_size=5).map(np.array)
names = st.text(max_size=6)


def grouped(values):
    return st.dictionaries(names, st.dictionaries(names, values, max_size=2), max_size=2)


@st.composite
def trials(draw):
    person = draw(st.lists(st.integers(0, 2**62), max_size=5))
    value = draw(st.lists(numbers, min_size=len(person), max_size=len(person)))
    return Trials(np.array(person, np.int64), np.array(value, np.float64))


@st.composite
def curves(draw):
    x = draw(st.lists(numbers, max_size=5))
    return Curve(np.array(x), np.array(draw(st.lists(numbers, min_size=len(x), max_size=len(x)))))


leaves = st.none() | st.booleans() | st.integers() | numbers | names | numbers.map(np.float64) | st.tuples(numbers)
plain = st.dictionaries(names, leaves | st.lists(leaves, max_size=2) | st.dictionaries(names, leaves, max_size=2))
results = st.builds(
    Result,
    protocol=names,
    settings=plain,
    data=plain,
    model=plain,
    figures=grouped(st.builds(Estimate, numbers, numbers.map(np.float64), numbers)),
    trials=grouped(trials()),
    draws=grouped(rows),
    curves=grouped(curves()),
    maps=grouped(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=2).map(np.array)),
    worst=st.lists(st.builds(Comparison, names, names, numbers, st.booleans()), max_size=3).map(tuple),
    notes=st.lists(names, max_size=3).map(tuple),
    versions=st.dictionaries(names, names, max_size=2),
)


def strictly(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def same(a, b):
    """Equal to the last bit, arrays and signs of zero included."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(float(b) if isinstance(b, np.floating) else b)


@given(results)
def test_a_result_is_the_same_after_json(tmp_path_factory, result):
    path = tmp_path_factory.getbasetemp() / "result.json"
    result.save(path)
    again = Result.load(path)
    for field in ("figures", "trials", "draws", "curves", "maps"):
        assert same(getattr(again, field), getattr(result, field)), field
    assert (again.worst, again.notes, again.protocol) == (result.worst, result.notes, result.protocol)
    assert again.to_dict() == result.to_dict() == strictly(path.read_text(encoding="utf-8"))


@given(results)
def test_numbers_become_plain_ones(result):
    def check(value):
        assert type(value) in (dict, list, str, int, float, bool, type(None)), type(value)
        for entry in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            check(entry)

    check(result.to_dict())


def result(**changes):
    whole = {"protocol": "pairs", "settings": {}, "data": {}, "figures": {}}
    return Result(**{**whole, **changes})


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, np.float32("nan")])
@pytest.mark.parametrize(
    ("where", "holding"),
    [
        ("figures.plain.auc.low", lambda x: {"figures": {"plain": {"auc": Estimate(0.5, x, 1.0)}}}),
        ("trials.plain.auc.value", lambda x: {"trials": {"plain": {"auc": Trials(np.zeros(1, int), np.array([x]))}}}),
        ("draws.plain.auc", lambda x: {"draws": {"plain": {"auc": np.array([0.1, x])}}}),
        ("curves.plain.roc.x", lambda x: {"curves": {"plain": {"roc": Curve(np.array([x]), np.zeros(1))}}}),
        ("maps.all.rank1", lambda x: {"maps": {"all": {"rank1": np.full((2, 2), x)}}}),
        (r"worst\[0\].score", lambda x: {"worst": (Comparison("a", "b", x, True),)}),
        (r"settings.fars\[1\]", lambda x: {"settings": {"fars": (0.1, x)}}),
        ("data.deep.er", lambda x: {"data": {"deep": {"er": x}}}),
    ],
)
def test_what_is_no_number_is_never_written_and_its_place_is_named(tmp_path, where, holding, wrong):
    path = tmp_path / "result.json"
    with pytest.raises(ProtocolError, match=where):
        result(**holding(wrong)).save(path)
    assert not path.exists()


def test_what_json_cannot_hold_is_named():
    with pytest.raises(ProtocolError, match=r"settings.rule of the result is a function"):
        result(settings={"rule": strictly}).to_dict()


def test_the_results_own_mappings_are_not_shared_with_the_dictionary():
    settings = {"fars": [0.1]}
    given = result(settings=settings)
    given.to_dict()["settings"]["fars"].append(0.2)
    assert settings == {"fars": [0.1]}


@pytest.mark.parametrize(
    "change",
    [
        {"figures": {"plain": {"auc": {"value": 1, "low": 0}}}},
        {"figures": {"plain": {"auc": 1}}},
        {"figures": [1]},
        {"trials": {"plain": {"auc": {"person": [1, 2], "value": [0.5]}}}},
        {"trials": {"plain": {"auc": {"person": [[1]], "value": [[1]]}}}},
        {"trials": {"plain": {"auc": {"person": [2**70], "value": [1]}}}},
        {"curves": {"plain": {"roc": {"x": [0, 1], "y": [0]}}}},
        {"draws": {"plain": {"auc": ["a"]}}},
        {"maps": {"all": {"rank1": [[1], [1, 2]]}}},
        {"worst": [{"left": "a"}]},
        {"settings": 3},
        {"notes": 1},
    ],
)
def test_what_is_no_result_is_refused_with_the_files_name(tmp_path, change):
    path = tmp_path / "other.json"
    path.write_text(json.dumps({**result().to_dict(), **change}))
    with pytest.raises(ProtocolError, match=r"other.json: this is no result of a protocol"):
        Result.load(path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", '{"protocol": NaN}', "[" * 100000, b"\xff\xfe"])
def test_what_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ProtocolError, match=r"other\.json"):
        Result.load(path)
    with pytest.raises(ProtocolError, match="cannot be read"):
        Result.load(tmp_path / "absent.json")
