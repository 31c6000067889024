"""Wheels of five platforms, made on Linux: the pure wheel, and the kernel by zig's Clang.

    python tools/wheels.py [--only linux-x86_64 ...]      (make wheels)

The interpreter that runs this decides the ABI by its headers: 3.11 makes wheels for 3.11 alone,
3.12 and later one for all of these (the stable ABI). Needs tools/wheels-requirements.txt.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import nanobind

ROOT = Path(__file__).resolve().parents[1]
BUILD, DIST = ROOT / "build" / "wheels", ROOT / "dist"
STABLE = sys.version_info >= (3, 12)
PYTHON_TAG = "cp312" if STABLE else f"cp{sys.version_info.major}{sys.version_info.minor}"
ABI_TAG = "abi3" if STABLE else PYTHON_TAG
MOST_INSTALLED = 5 * 2**20  # bytes; 3.1 to 4.2 million were seen
TOOLS = Path(sys.executable).parent
HEADERS = Path(sysconfig.get_paths()["include"])


@dataclass(frozen=True)
class Platform:
    """What a wheel is for: zig's triple, CMake's processor, wheel's tag, the module's ending."""

    triple: str
    processor: str
    tag: str
    ending: str = ".so"
    flags: str = ""


def suffix(unix: str) -> str:
    return ".abi3.so" if STABLE else f".cpython-{PYTHON_TAG[2:]}-{unix}.so"


PLATFORMS = {
    "linux-x86_64": Platform(
        "x86_64-linux-gnu.2.17", "x86_64", "linux_x86_64", suffix("x86_64-linux-gnu")
    ),
    "linux-aarch64": Platform(
        "aarch64-linux-gnu.2.17", "aarch64", "linux_aarch64", suffix("aarch64-linux-gnu")
    ),
    "macos-x86_64": Platform(
        "x86_64-macos.11.0",
        "x86_64",
        "macosx_11_0_x86_64",
        suffix("darwin"),
        "-undefined dynamic_lookup",
    ),
    "macos-arm64": Platform(
        "aarch64-macos.11.0",
        "aarch64",
        "macosx_11_0_arm64",
        suffix("darwin"),
        "-undefined dynamic_lookup",
    ),
    "windows-x86_64": Platform(
        "x86_64-windows-gnu",
        "x86_64",
        "win_amd64",
        ".pyd" if STABLE else ".cp311-win_amd64.pyd",
        "-lpython3" if STABLE else "-lpython311",
    ),
}


def run(*command: object, **environment: str) -> None:
    subprocess.run([str(part) for part in command], check=True, env=os.environ | environment)


def build_pure_wheel() -> Path:
    """From the sdist, so that a file which that lacks is missed here."""
    shutil.rmtree(BUILD / "pure", ignore_errors=True)
    pure = ("-Cwheel.cmake=false", "-Cwheel.py-api=py3", "-Cwheel.platlib=false")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", BUILD / "pure", *pure, ROOT)
    DIST.mkdir(exist_ok=True)
    for made in (BUILD / "pure").iterdir():
        shutil.copy(made, DIST)
    (wheel,) = (BUILD / "pure").glob("*-py3-none-any.whl")
    return wheel


def write_tool(folder: Path, name: str, command: str) -> Path:
    """An executable that CMake can name, for a part of zig."""
    path = folder / name
    path.write_text(f'#!/bin/sh\nexec "{TOOLS / "python-zig"}" {command} "$@"\n')
    path.chmod(0o755)
    return path


def write_import_library(folder: Path) -> None:
    """Of python3.dll or python311.dll: the names that nanobind may use."""
    library = "python3" if STABLE else f"python{PYTHON_TAG[2:]}"
    listed = (Path(nanobind.cmake_dir()) / "darwin-ld-cpython.sym").read_text()
    names = re.findall(r"^-U _(\w+)$", listed, re.M)
    definition = folder / f"{library}.def"
    definition.write_text("\n".join([f'LIBRARY "{library}.dll"', "EXPORTS", *names, ""]))
    zig = TOOLS / "python-zig"
    made = folder / f"lib{library}.a"
    run(zig, "dlltool", "-m", "i386:x86-64", "-d", definition, "-l", made)


def headers_for(platform: Platform, folder: Path) -> Path:
    """This Python's headers; for Windows with the settings that configure did not find here."""
    target = folder / "include"
    shutil.copytree(HEADERS, target, dirs_exist_ok=True)
    windows = platform.tag.startswith("win")
    settings = ROOT / "tools" / "windows_pyconfig.h" if windows else find_settings()
    shutil.copy(settings, target / "pyconfig.h")
    return target


def find_settings() -> Path:
    """pyconfig.h of this machine: that among Debian's headers only says where each machine's is."""
    machine = sysconfig.get_config_var("MULTIARCH") or ""
    own = HEADERS.parent / machine / HEADERS.name / "pyconfig.h"
    return own if own.is_file() else HEADERS / "pyconfig.h"


def build_kernel(name: str, platform: Platform) -> Path:
    """The compiled module of a platform. CMake is told of Linux; zig knows what it is for."""
    folder = BUILD / f"{name}-{ABI_TAG}"
    folder.mkdir(parents=True, exist_ok=True)
    if platform.tag.startswith("win"):
        write_import_library(folder)
    include = headers_for(platform, folder)
    # nanobind takes stdio.h from Python.h, which under the stable ABI does not bring it.
    flags = f"-target {platform.triple} -include stdio.h -Wno-macro-redefined"
    component = "Development.SABIModule" if STABLE else ""
    run(
        TOOLS / "cmake", "-G", "Ninja", "-S", ROOT, "-B", folder,
        "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SKIP_RPATH=ON",
        "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",  # none is changed later, as only ELF's can be
        f"-DCMAKE_SYSTEM_PROCESSOR={platform.processor}",
        f"-DCMAKE_MAKE_PROGRAM={TOOLS / 'ninja'}",
        f"-DCMAKE_CXX_COMPILER={write_tool(folder, 'cxx', f'c++ {flags}')}",
        f"-DCMAKE_AR={write_tool(folder, 'ar', 'ar')}",
        f"-DCMAKE_RANLIB={write_tool(folder, 'ranlib', 'ranlib')}",
        f"-DCMAKE_MODULE_LINKER_FLAGS=-L{folder} {platform.flags}",
        f"-DSKBUILD_SABI_COMPONENT={component}", "-DSKBUILD_SOSABI=abi3",
        f"-DPython_EXECUTABLE={sys.executable}", f"-DPython_INCLUDE_DIR={include}",
        f"-Dnanobind_DIR={nanobind.cmake_dir()}",
    )  # fmt: skip
    run(TOOLS / "ninja", "-C", folder)
    (module,) = (path for path in folder.glob("_native*.so"))
    return module


def join(pure: Path, name: str, platform: Platform, module: Path) -> Path:
    """The pure wheel with the module in it, for one platform."""
    folder = BUILD / f"{name}-{ABI_TAG}" / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(pure) as archive:
        archive.extractall(folder)
    shutil.copy(module, folder / "fanin" / f"_native{platform.ending}")
    (facts,) = folder.glob("*.dist-info/WHEEL")
    text = facts.read_text().replace("Root-Is-Purelib: true", "Root-Is-Purelib: false")
    tag = f"{PYTHON_TAG}-{ABI_TAG}-{platform.tag}"
    facts.write_text(re.sub(r"^Tag: .*$", f"Tag: {tag}", text, flags=re.M))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > MOST_INSTALLED:
        raise SystemExit(f"{name}: installed size {size} bytes; at most {MOST_INSTALLED}")
    packed = folder.parent / "packed"
    shutil.rmtree(packed, ignore_errors=True)
    packed.mkdir()
    run(sys.executable, "-m", "wheel", "pack", folder, "--dest-dir", packed)
    (wheel,) = packed.glob("*.whl")
    if platform.tag.startswith("linux"):
        run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", DIST, wheel,
            PATH=f"{TOOLS}:{os.environ['PATH']}")  # fmt: skip
    else:
        shutil.copy(wheel, DIST)
    if STABLE:  # whatever the platform: nothing beyond the stable ABI is asked of Python
        run(sys.executable, "-m", "abi3audit", "--strict", wheel)
    kernel = module.stat().st_size / 1e6
    print(f"{tag}: {size / 1e6:.1f} MB installed, {kernel:.2f} MB of them the kernel")
    return wheel


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PLATFORMS, default=list(PLATFORMS))
    chosen = parser.parse_args().only
    pure = build_pure_wheel()
    for name in chosen:
        join(pure, name, PLATFORMS[name], build_kernel(name, PLATFORMS[name]))


if __name__ == "__main__":
    main()
