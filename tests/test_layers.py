"""The shape of the code: imports go down, files and functions are small, names are typed."""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import fanin

SOURCE = Path(fanin.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

ARCHITECTURE = Path(__file__).parents[1] / "ARCHITECTURE.md"


def _layers() -> dict[str, int]:
    """The layer of every module and package, as the table in ARCHITECTURE.md has it."""
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", ARCHITECTURE.read_text("utf-8"), re.MULTILINE)
    return {
        _module(where): int(number)
        for number, cell in rows
        for where in re.findall("`(.*?)`", cell)
    }


def _module(where: str) -> str:
    name = where.removesuffix(".py").rstrip("/")
    return "fanin" if name == "__init__" else f"fanin.{name}"


LAYERS = _layers()
# Folders of the adapters, from the bottom up.
ROOMS = {
    "torch": ("runs", "draws", "tree", "write", "record", "operations", "trace", "observe"),
    "jax": ("tree", "write", "doors", "record", "operations", "trace", "observe"),
}
FRAMEWORKS = {"torch", "jax", "keras", "flax", "equinox", "haiku", "tensorflow", "triton"}
HEAVY = (
    *FRAMEWORKS,
    "scipy",
    "rich",
    "plotille",
    "matplotlib",
    "mlxtend",
    "sklearn",
    "jinja2",
    "ml_dtypes",
)


def layer(module: str) -> int:
    name = ".".join(module.split(".")[:2])
    assert name in LAYERS, f"{module} is in no layer of ARCHITECTURE.md: say there where it belongs"
    return LAYERS[name]


def module_of(path: Path) -> str:
    parts = ["fanin", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if _is_module(inner) else str(node.module)


def _is_module(name: str) -> bool:
    path = SOURCE.parent.joinpath(*name.split("."))
    return name == "fanin._native" or path.is_dir() or path.with_suffix(".py").exists()


def package(module: str) -> str:
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_go_down(path: Path) -> None:
    own = module_of(path)
    for name in imports(path):
        if name.split(".")[0] != "fanin":
            continue
        inside = package(name) == package(own) != "fanin"
        assert inside or layer(name) < layer(own), f"{own} imports {name}"


@pytest.mark.parametrize("path", sorted((SOURCE / "frameworks").glob("*/*/*.py")), ids=module_of)
def test_rooms_of_the_adapter_import_down(path: Path) -> None:
    """What stands beside the rooms, such as what a program is, is below them."""
    framework = path.parents[1].name
    rooms = ROOMS[framework]
    own = rooms.index(path.parent.name)
    for name in imports(path):
        room = name.removeprefix(f"fanin.frameworks.{framework}.").split(".")[0]
        if name.startswith(f"fanin.frameworks.{framework}.") and room in rooms:
            assert rooms.index(room) <= own, f"{module_of(path)} imports {name}"


def test_the_table_of_layers_names_what_there_is() -> None:
    there = {package(module_of(path)) for path in FILES} | {"fanin._native"}
    assert set(LAYERS) == there


def test_folders_of_tests_are_those_of_the_sources() -> None:
    own = Path(__file__).parent
    found = {path.parent.relative_to(own) for path in own.rglob("test_*.py")}
    sources = {path.parent.relative_to(SOURCE) for path in FILES}
    assert found - sources == {
        Path("peers"),
        Path("zoo"),
        Path("libraries"),
        Path("conformity"),
        Path("threads"),
        Path("faults"),
    }


def test_no_imports_go_in_circles() -> None:
    """Those for type hints alone included: what knows each other is one thing."""
    graph = {module_of(path): set(imports(path)) - {module_of(path)} for path in FILES}
    sorter = TopologicalSorter({own: names & set(graph) for own, names in graph.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail(f"imports go in a circle: {' imports '.join(error.args[1][::-1])}")


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_only_the_adapters_and_the_lab_name_a_framework(path: Path) -> None:
    own = module_of(path)
    allowed = own.startswith(
        ("fanin.frameworks.", "fanin.lab.", "fanin.studies.", "fanin.streams._triton")
    )
    named = {name.split(".")[0] for name in imports(path)} & FRAMEWORKS
    assert allowed or not named


def test_fanin_loads_nothing_heavy() -> None:
    code = "import sys, fanin, fanin.streams, fanin.initializers; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "fanin" in loaded
    assert not {name.split(".")[0] for name in loaded}.intersection(HEAVY)
    assert "fanin.frameworks.torch" not in loaded


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_files_are_small_and_say_what_they_are(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text)), f"{path.name} has no docstring"


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_functions_fit_a_screen(path: Path) -> None:
    """At most 60 lines of code, signature and docstring aside."""
    for function in functions(path):
        body = function.body[1:] if ast.get_docstring(function) else function.body
        if body:
            size = (body[-1].end_lineno or 0) - body[0].lineno + 1
            assert size <= 60, f"{function.name} has {size} lines"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_names_say_what_they_name(path: Path) -> None:
    """`one` names nothing: say tensor, node, row."""
    tree = ast.walk(ast.parse(path.read_text("utf-8")))
    names = {node.id if isinstance(node, ast.Name) else getattr(node, "arg", "") for node in tree}
    assert "one" not in names


# A function of such a name reads as a value; words in -ed that are verbs, and terms of the field.
PARTICIPLE = re.compile(
    "aid|built|chosen|done|drawn|fed|found|given|gone|hidden|kept|known|left|made|meant|said|seen|"
    "sent|shown|taken|thrown|told|understood|wound|written|[a-z]+ed"
)
VERBS = {"embed", "exceed", "feed", "need", "proceed", "seed", "speed"}
TERMS = {"fixed_point", "truncated_normal", "truncated_normal32", "truncated_normal64"}


def test_the_map_is_read_in_one_go() -> None:
    assert len(ARCHITECTURE.read_text("utf-8").splitlines()) <= 120


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_functions_are_verbs(path: Path) -> None:
    """A past participle names a value: `drawn = draw(...)`. Properties are values."""
    for function in functions(path):
        name = function.name.strip("_")
        first = name.split("_")[0]
        value = any("property" in ast.unparse(item) for item in function.decorator_list)
        participle = PARTICIPLE.fullmatch(first) and first not in VERBS
        assert value or not participle or name in TERMS, f"{function.name}: say what it does"


def test_types_have_one_meaning() -> None:
    """Of two classes or aliases of one name, one is the adapter's word, or of another framework."""
    homes: dict[str, dict[str, str]] = {}
    for path in FILES:
        where = path.relative_to(SOURCE).parts
        home = where[1] if where[0] == "frameworks" and len(where) > 2 else ""
        home = "adapter" if path.name == "_adapter.py" else home
        for name, meaning in _types(path):
            if meaning == "Any":  # an object of a framework
                continue
            others = homes.setdefault(name, {})
            for other in {home, ""} & set(others) if home else others:
                assert others[other] == meaning, f"{name} is in {module_of(path)}, too"
            others[home] = meaning


def _types(path: Path) -> Iterator[tuple[str, str]]:
    """The classes of a file, and its names for types, each with what it stands for."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name.lstrip("_"), module_of(path)
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id.lstrip("_")
            if name[:1].isupper() and not name.isupper():
                yield name, ast.unparse(node.value)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_public_functions_are_annotated(path: Path) -> None:
    for function in functions(path):
        if function.name.startswith("_") and not function.name.startswith("__"):
            continue
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        bare = [
            one.arg for one in arguments if not one.annotation and one.arg not in ("self", "cls")
        ]
        assert not bare, f"{function.name} has no types for {bare}"
        assert function.returns, f"{function.name} does not say what it returns"


def test_every_public_name_is_documented() -> None:
    for name, value in vars(fanin).items():
        if not name.startswith("_"):
            assert inspect.getdoc(value), name
