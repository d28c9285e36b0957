"""Compile every kernel for GPUs this machine does not have: `python -m occmask_kernels.aot --arch 80 90 --json`.

One line a kernel and architecture, with what the compiler made of it.  Needs the triton package, which brings its own
assembler and disassembler, and no GPU.  Exits with 1 if a kernel spills registers or does not fit an architecture's
shared memory.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from ._launch import ARCHITECTURES, COMPILE_OPTIONS, AotCase

TOOLS = Path(triton.__file__).parent / "backends/nvidia/bin"
SHARED_LIMIT = {80: 163 * 1024, 86: 99 * 1024, 89: 99 * 1024, 90: 227 * 1024}  # bytes a program may use


def cases() -> Iterator[AotCase]:
    """Every kernel of the package in the variants that are launched."""
    from .margin import product_cases, rows_launch
    from .masking import kernel as masking

    for module in (rows_launch, product_cases, masking):
        yield from module.aot_cases()


def compile_case(case: AotCase, arch: int) -> dict[str, Any]:
    """Registers, spills, shared memory (bytes) and counts of telling instructions of one kernel on one architecture."""
    compiled = triton.compile(
        _source(case),
        target=GPUTarget("cuda", arch, 32),
        options={"num_warps": case.num_warps, "num_stages": case.num_stages, **COMPILE_OPTIONS},
    )
    usage, code = _disassemble(compiled.asm["cubin"])
    registers, stack, local = _resources(usage)
    return {
        "kernel": case.kernel.__name__,
        "arch": arch,
        "dtype": case.dtype,
        "case": case.label,
        "registers": registers,
        "spill_bytes": stack + local,
        "local_instructions": _count(r"\b(STL|LDL)\b", code),
        "shared_bytes": compiled.metadata.shared,
        "matrix_instructions": _count(r"\b(HGMMA|HMMA)\b", code),
        "wide_accesses": _count(r"\b(LDG|STG|LDGSTS)\S*\.128\b", code),
        "bulk_accesses": _count(r"\b(UTMALDG|UTMASTG)\b", code),
        "warps": case.num_warps,
    }


def _source(case: AotCase) -> ASTSource:
    signature, attributes = {}, {}
    for index, name in enumerate(case.kernel.arg_names):
        if name in case.constants:
            signature[name] = "constexpr"
            continue
        kind = case.signature[name]
        if kind.startswith("*") or kind.endswith("/16"):
            attributes[(index,)] = [["tt.divisibility", 16]]
        signature[name] = kind.removesuffix("/16")
    return ASTSource(fn=case.kernel, signature=signature, constexprs=dict(case.constants), attrs=attributes)


def _disassemble(cubin: bytes) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        usage = subprocess.run([TOOLS / "cuobjdump", "-res-usage", path], capture_output=True, text=True, check=True)
        code = subprocess.run([TOOLS / "nvdisasm", "-c", path], capture_output=True, text=True, check=True)
    return usage.stdout + usage.stderr, code.stdout


def _resources(usage: str) -> tuple[int, int, int]:
    found = re.search(r"REG:(\d+).*?STACK:(\d+).*?LOCAL:(\d+)", usage)
    if found is None:
        raise RuntimeError(f"cuobjdump reported no resources: {usage.strip()[:200]!r}")
    registers, stack, local = map(int, found.groups())
    return registers, stack, local


def _count(pattern: str, code: str) -> int:
    return len(re.findall(pattern, code))


def fits(line: dict[str, Any]) -> bool:
    """No spill, and within the architecture's shared memory."""
    roomy = line["shared_bytes"] <= SHARED_LIMIT.get(line["arch"], max(SHARED_LIMIT.values()))
    return roomy and not line["spill_bytes"] and not line["local_instructions"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m occmask_kernels.aot", description=__doc__)
    parser.add_argument(
        "--arch", type=int, nargs="+", default=ARCHITECTURES, help="compute capabilities x 10 (default: 80 90)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    parser.add_argument("--kernel", default="", help="only kernels whose name contains this")
    arguments = parser.parse_args()
    if os.environ.get("TRITON_INTERPRET") == "1":
        parser.error("TRITON_INTERPRET=1 makes Triton interpret kernels instead of compiling them; unset it")
    wrong = 0
    for case in cases():
        for arch in arguments.arch:
            if arguments.kernel not in case.kernel.__name__ or arch not in case.architectures:
                continue
            line = compile_case(case, arch)
            wrong += not fits(line)
            print(json.dumps(line) if arguments.json else _row(line), flush=True)
    if not arguments.json:
        print(f"Triton {triton.__version__}: {f'{wrong} do not fit' if wrong else 'all fit, nothing spills'}")
    return 1 if wrong else 0


def _row(line: dict[str, Any]) -> str:
    return (
        f"sm_{line['arch']}  {line['kernel']:<24} {line['dtype']:<5} {line['case']:<18}"
        f"{line['registers']:>4} registers  {line['spill_bytes']:>3} B spilled"
        f"  {line['shared_bytes'] / 1024:>6.1f} KiB shared"
        f"  {line['matrix_instructions']:>4} matrix  {line['wide_accesses']:>3} wide"
    )


if __name__ == "__main__":
    sys.exit(main())
