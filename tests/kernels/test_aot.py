"""Every kernel compiled for GPUs that are not here: no spill, everything fits, the right instructions."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

aot = pytest.importorskip("occmask_kernels.aot", reason="needs the package triton")
from occmask_kernels._dispatch import INTERPRET  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.skipif(INTERPRET, reason="the interpreter does not compile")]

FIELDS = {
    "kernel": str,
    "arch": int,
    "dtype": str,
    "registers": int,
    "spill_bytes": int,
    "local_instructions": int,
    "shared_bytes": int,
    "matrix_instructions": int,
    "wide_accesses": int,
}
PRODUCTS = {"cosine_sums", "cosine_maxima", "cosine_gradients", "weight_gradients"}


@pytest.fixture(scope="module")
def lines() -> list[dict]:
    """What the command prints, as a user runs it."""
    command = [sys.executable, "-m", "occmask_kernels.aot", "--arch", "80", "90", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TRITON_INTERPRET": "0"})
    assert run.returncode == 0, run.stdout + run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_each_line_has_the_fields_that_scripts_read(lines):
    for line in lines:
        assert {name: type(line[name]) for name in FIELDS} == FIELDS


def test_every_kernel_is_compiled_for_both_architectures(lines):
    kernels = {case.kernel.__name__ for case in aot.cases()}
    assert PRODUCTS | {"normalise_rows", "mask_forward_kernel", "shared_backward_kernel"} <= kernels
    for arch in (80, 90):
        assert {line["kernel"] for line in lines if line["arch"] == arch} == kernels


def test_nothing_spills_and_everything_fits_shared_memory(lines):
    for line in lines:
        assert line["spill_bytes"] == line["local_instructions"] == 0, line
        assert line["shared_bytes"] <= aot.SHARED_LIMIT[line["arch"]], line
        assert 0 < line["registers"] <= 255, line


def test_products_run_on_matrix_units_unless_they_are_not_rounded(lines):
    for line in lines:
        on_matrix_units = line["kernel"] in PRODUCTS and "ieee" not in line["case"]
        assert (line["matrix_instructions"] > 0) == on_matrix_units, line


def test_the_newer_architecture_copies_tiles_in_bulk(lines):
    for line in lines:
        assert (line["bulk_accesses"] > 0) == line["case"].startswith("tma"), line


def test_flat_kernels_move_16_bytes_at_a_time(lines):
    for line in lines:
        if line["kernel"] in ("mask_forward_kernel", "mask_backward_kernel", "normalise_rows"):
            assert line["wide_accesses"] > 0, line


@pytest.mark.parametrize(
    ("line", "fitting"),
    [
        ({"arch": 80, "shared_bytes": 163 * 1024, "spill_bytes": 0, "local_instructions": 0}, True),
        ({"arch": 80, "shared_bytes": 163 * 1024 + 1, "spill_bytes": 0, "local_instructions": 0}, False),
        ({"arch": 90, "shared_bytes": 0, "spill_bytes": 8, "local_instructions": 0}, False),
        ({"arch": 90, "shared_bytes": 0, "spill_bytes": 0, "local_instructions": 1}, False),
    ],
)
def test_a_kernel_that_spills_or_does_not_fit_fails_the_command(line, fitting):
    assert aot.fits(line) == fitting
