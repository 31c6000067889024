"""Count the GPU kernels' instructions in their compiled code. No GPU is needed: nothing is run.

    python -m bench.gpu.instructions [--arch 90] [--json]

For every draw into contiguous memory: the machine instructions of a thread that stores vectors, a
value; the registers of a thread; and what must not be there (contracted or flushing operations,
spilled registers). docs/gpu.md says what follows from it.
"""

import argparse
import json
import re
import subprocess
import tempfile
from collections import Counter
from typing import Any

import triton
from rich.console import Console
from rich.table import Table
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from fanin.streams import _triton_kernels as kernels
from fanin.streams._triton import PROGRAM, VALUES, WARPS
from fanin.streams._triton_tables import ENCODINGS, KINDS

# What an instruction does, by the beginning of its name; the first that fits.
CATEGORIES = {
    "wide multiply": ("IMAD.WIDE", "UIMAD.WIDE"),
    "float arithmetic": ("FFMA", "FADD", "FMUL", "DADD", "DMUL", "DFMA"),
    "conversion": ("I2F", "F2F", "I2FP", "F2FP"),
    "compare, select": ("FMNMX", "FSEL", "FSETP", "DSETP", "SEL", "ISETP", "PLOP3"),
    "load": ("LDG", "LDC", "ULDC", "LDS"),
    "store": ("STG", "STS"),
}
REST = "integer, logic, other"
WIDTHS = {"float32": 4, "float64": 8, "bfloat16": 2, "float16": 2}


def compiled(kernel: Any, constants: dict[str, object], double: bool, arch: int) -> Any:
    """A kernel for an NVIDIA GPU of this architecture (90: H100), as a launch compiles it."""
    types = {"columns": "i32", "count": "i32", "coefficients": "*fp64" if double else "*fp32"}
    signature = {
        name: "constexpr" if name in constants else types.get(name, "*i64")
        for name in kernel.arg_names
    }
    aligned = {(kernel.arg_names.index("coefficients"),): [["tt.divisibility", 16]]}
    return triton.compile(
        ASTSource(kernel, signature, constants, aligned),
        target=GPUTarget("cuda", arch, 32),
        options={"num_warps": WARPS, "enable_fp_fusion": False},
    )


def one(kind: str, encoding: str, arch: int, rank: int = 1, lanes: int = 4, wide: int = 0) -> Any:
    """The kernel of a single job."""
    double = encoding == "float64"
    constants = {"KIND": KINDS[kind], "ENCODING": ENCODINGS[encoding], "RANK": rank, "WIDE": wide}
    shape = {"DOUBLE": double, "LANES": lanes, "BLOCK": PROGRAM // VALUES[lanes]}
    return compiled(kernels._one, constants | shape, double, arch)


def many(double: bool, lanes: int, arch: int) -> Any:
    """The kernel of a fused launch."""
    shape = {"DOUBLE": double, "LANES": lanes, "BLOCK": PROGRAM // VALUES[lanes]}
    return compiled(kernels._many, shape, double, arch)


def suspects(binary: Any) -> dict[str, int]:
    """How often operations appear that decide roundings, and that have no place here."""
    ptx = binary.asm["ptx"]
    usage, code = _tool("cuobjdump", binary, "-res-usage"), _tool("nvdisasm", binary, "-c")
    return {
        "fma written": len(re.findall(r"\bfma\.rn\.f32\b", ptx)),
        "fma made": len(re.findall(r"\b[FD]FMA\b", code)),
        # (An integer division of the assembler's own making has others, which decide no value.)
        "flushing or approximate": len(
            re.findall(r"\.ftz\b|\.approx\b", ptx) + re.findall(r"\bF(?:FMA|ADD|MUL).FTZ\b", code)
        ),
        "registers": int(re.findall(r"REG:(\d+)", usage)[0]),
        "spilled bytes": int(re.findall(r"STACK:(\d+)", usage)[0]),
    }


def _tool(name: str, binary: Any, option: str) -> str:
    """What a tool of the CUDA toolkit, which Triton brings, says about a binary."""
    path = getattr(triton.knobs.nvidia, name).path
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary.asm["cubin"])
        file.flush()
        done = subprocess.run([path, option, file.name], capture_output=True, text=True, check=True)
    return done.stdout


def hot_path(binary: Any, encoding: str) -> list[str]:
    """The instructions of a thread whose elements are all there: it stores vectors and ends."""
    code = _tool("nvdisasm", binary, "-c")
    found = re.findall(r"^\s+/\*[0-9a-f]+\*/\s+(@!?U?P\w+ )?(\w[\w.]*)", code, re.MULTILINE)
    names = [name for _, name in found]
    branch = next(i for i, (guard, name) in enumerate(found) if guard and name == "BRA")
    vector = "STG.E.128" if WIDTHS[encoding] > 2 else "STG.E.64"
    stores = [i for i, name in enumerate(names) if name == vector]
    end = names.index("EXIT", stores[-1])
    if stores[0] < branch:
        return names[: end + 1]
    begin = max(i for i in range(stores[0]) if names[i] in ("BRA", "EXIT"))
    return names[: branch + 1] + names[begin + 1 : end + 1]


def counts(binary: Any, encoding: str) -> dict[str, float]:
    """Instructions a value, by category."""
    values = PROGRAM / (32 * WARPS)
    result: Counter[str] = Counter()
    for name in hot_path(binary, encoding):
        fits = (category for category, names in CATEGORIES.items() if name.startswith(names))
        result[next(fits, REST)] += 1
    return {name: result[name] / values for name in (*CATEGORIES, REST)}


def measured(arch: int) -> list[dict[str, Any]]:
    """All draws into contiguous memory."""
    rows = []
    for kind in ("constant", "uniform", "normal", "truncated_normal"):
        for encoding in WIDTHS:
            binary = one(kind, encoding, arch)
            row = {"kind": kind, "dtype": encoding, **suspects(binary)}
            rows.append({**row, "instructions": counts(binary, encoding)})
    for double in (False, True):
        for lanes in (4, 1):
            name = f"any, fused, {lanes} lane{'s' * (lanes > 1)}"
            dtype = "float64" if double else "the others"
            rows.append({"kind": name, "dtype": dtype, **suspects(many(double, lanes, arch))})
    scattered = suspects(one("normal", "float32", arch, rank=3, lanes=1, wide=1))
    return [*rows, {"kind": "normal, scattered, far", "dtype": "float32", **scattered}]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--arch", type=int, default=90, help="compute capability (default 90)")
    parser.add_argument("--json", action="store_true", help="print numbers for a program")
    args = parser.parse_args()
    rows = measured(args.arch)
    if args.json:
        print(json.dumps(rows))
        return
    table = Table(
        title=f"Instructions a value, compiled for sm_{args.arch} by Triton {triton.__version__}, "
        f"{PROGRAM} values a program of {WARPS} warps. Not run."
    )
    for title in ("draw", "dtype"):
        table.add_column(title)
    for title in (*CATEGORIES, REST, "all", "registers", "spilled"):
        table.add_column(title, justify="right")
    for row in rows:
        found = row.get("instructions", {})
        cells = [f"{found[name]:.1f}" if found else "" for name in (*CATEGORIES, REST)]
        total = f"{sum(found.values()):.1f}" if found else ""
        ends = [total, str(row["registers"]), str(row["spilled bytes"])]
        table.add_row(row["kind"], row["dtype"], *cells, *ends)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
