"""Templates to bytes and back: what went in comes out, within what a precision promises; bad bytes are refused."""

import pickle
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from occmask import DataError, OptionError, ShapeError, Template
from occmask.matching.storage import PRECISIONS, decode, encode, record_kind, template_bytes

HALF = 2.0**-11  # of a number, at most, that float16 loses


@st.composite
def templates(draw):
    size, rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    dim = draw(st.integers(1, 9))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scale = 10.0 ** draw(st.integers(-6, 3))
    embedding = torch.randn(size, dim, generator=generator) * scale
    if draw(st.booleans()):
        return Template(embedding)
    parts = torch.randn(size, rows * columns, dim, generator=generator) * scale
    parts[:, ::2] *= draw(st.sampled_from([0.0, 1e-3, 1.0]))
    visible = torch.rand(size, rows * columns, generator=generator) if draw(st.booleans()) else None
    return Template(embedding, parts, visible, (rows, columns) if draw(st.booleans()) else None)


@pytest.mark.parametrize("precision", PRECISIONS)
@given(template=templates())
def test_a_template_comes_back_within_what_its_precision_promises(precision, template):
    back = decode(encode(template, precision))
    assert back.grid == (template.grid if template.parts is not None else None)
    half = precision != "float32"
    _near(back.embedding, template.embedding, template.embedding.abs() * HALF * half + 2**-25 * half)
    if template.parts is None:
        assert back.parts is back.visible is None
        return
    allowed = {
        "float32": torch.zeros_like(template.parts),
        "float16": template.parts.abs() * HALF + 2**-25,
        "int8": template.parts.abs().amax(2, keepdim=True).expand_as(template.parts) / 254 * (1 + 1e-5) + 2.0**-126,
    }
    _near(back.parts, template.parts, allowed[precision])
    assert (back.visible is None) == (template.visible is None)
    if template.visible is not None:
        _near(back.visible, template.visible, {"float32": 0.0, "float16": HALF, "int8": 1 / 510 + 1e-6}[precision])


def _near(found, expected, allowed):
    assert found.dtype == torch.float32
    assert bool(((found - expected).abs() <= torch.as_tensor(allowed)).all())


@pytest.mark.parametrize("precision", PRECISIONS)
@given(template=templates())
def test_a_record_has_the_bytes_that_the_table_says_and_says_itself_what_it_is(precision, template):
    dim = template.embedding.shape[1]
    parts = 0 if template.parts is None else template.parts.shape[1]
    for record in encode(template, precision):
        assert len(record) == template_bytes(dim, parts, precision, visible=template.visible is not None)
        kind = record_kind(record)
        assert (kind.dim, kind.parts, kind.visible, kind.precision) == (
            dim, parts, template.visible is not None, precision
        )  # fmt: skip


def test_storing_again_what_was_read_changes_no_byte():
    template = _template()
    for precision in PRECISIONS:
        records = encode(template, precision)
        assert encode(decode(records), precision) == records


def test_a_part_that_is_far_smaller_than_its_neighbours_keeps_its_direction():
    template = _template()
    template.parts[:, 0] *= 1e-4
    back = decode(encode(template, "int8")).parts
    assert torch.nn.functional.cosine_similarity(back, template.parts, dim=2).min() > 0.999


def _template(faces=3, parts=6, dim=16):
    generator = torch.Generator().manual_seed(3)
    return Template(
        torch.randn(faces, dim, generator=generator),
        torch.randn(faces, parts, dim, generator=generator),
        torch.rand(faces, parts, generator=generator),
        (2, 3),
    )


@given(noise=st.binary(max_size=200))
def test_bytes_of_another_origin_are_refused(noise):
    with pytest.raises(DataError):
        decode([noise])


@pytest.mark.parametrize("precision", PRECISIONS)
@given(data=st.data())
def test_a_changed_or_cut_record_is_refused_or_read_as_finite_numbers_of_its_kind(precision, data):
    record = bytearray(encode(_template(), precision)[0])
    if data.draw(st.booleans()):
        del record[data.draw(st.integers(0, len(record) - 1)) :]
        with pytest.raises(DataError):
            decode([bytes(record)])
        return
    for _ in range(data.draw(st.integers(1, 4))):
        record[data.draw(st.integers(0, len(record) - 1))] = data.draw(st.integers(0, 255))
    try:
        back = decode([bytes(record)])
    except DataError:
        return
    assert all(bool(torch.isfinite(x).all()) for x in back[:3] if x is not None)


@pytest.mark.parametrize(
    "fields",
    [
        {"dim": 1 << 20},
        {"dim": 0},
        {"parts": 1 << 31},
        {"dim": 1 << 16, "parts": 1 << 12, "precision": 0},
        {"version": 2},
        {"precision": 3},
        {"fields": 2},
        {"fields": 8},
        {"rows": 5},
        {"magic": b"\x80\x04\x95\x00"},
    ],
)
def test_a_header_that_cannot_be_is_refused_before_anything_is_made_of_it(fields):
    plain = {"magic": b"ocmT", "version": 1, "precision": 1, "fields": 7, "zero": 0, "dim": 16, "parts": 6}
    plain |= {"rows": 2, "columns": 3} | fields
    with pytest.raises(DataError):
        record_kind(struct.pack("<4sBBBBIIHH", *plain.values()) + bytes(300))


def test_a_pickle_is_never_loaded():
    class Bomb:
        def __reduce__(self):
            return pytest.fail, ("a pickle was run",)

    with pytest.raises(DataError, match="no stored template"):
        decode([pickle.dumps(Bomb())])


def test_records_of_two_kinds_do_not_go_together():
    template = _template()
    other = Template(template.embedding)
    with pytest.raises(DataError, match="two kinds"):
        decode([*encode(template), *encode(other)])
    with pytest.raises(DataError, match="two kinds"):
        decode([*encode(template, "int8"), *encode(template, "float16")])
    with pytest.raises(DataError, match="no stored templates"):
        decode([])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_cannot_be_compared_are_not_stored(bad):
    template = _template()
    template.parts[1, 2, 3] = bad
    for precision in PRECISIONS:
        with pytest.raises(ShapeError, match="NaN or infinity"):
            encode(template, precision)


def test_what_float16_cannot_hold_is_refused_and_told_the_way_out():
    template = Template(torch.full((1, 4), 1e6))
    with pytest.raises(ShapeError, match="store it as float32"):
        encode(template, "float16")
    assert torch.equal(decode(encode(template, "float32")).embedding, template.embedding)


def test_an_unknown_precision_is_refused_by_name():
    with pytest.raises(OptionError, match=r"not 'flaot16'.*Did you mean 'float16'"):
        encode(_template(), "flaot16")


def test_no_faces_are_no_records():
    assert encode(Template(torch.zeros(0, 4))) == []


def test_the_table_of_sizes():
    sizes = {(d, p): [template_bytes(d, p, precision) for precision in PRECISIONS] for d, p in ((512, 49), (128, 42))}
    assert sizes == {(512, 49): [102_616, 51_318, 26_377], (128, 42): [22_204, 11_112, 5_862]}
    assert template_bytes(512, 0, "float16") == 20 + 2 * 512


def test_the_header_is_little_endian_wherever_it_is_written():
    record = encode(Template(torch.tensor([[1.0, -2.0]])), "float32")[0]
    assert record == b"ocmT\x01\x00\x00\x00" + bytes([2, 0, 0, 0] + [0] * 8) + np.array([1, -2], "<f4").tobytes()
