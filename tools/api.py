"""Write docs/api: a page for each public module, from signatures and docstrings.

    python tools/api.py [--check]

The modules and names are those of tests/golden/public_names.txt. An object that several modules
offer is described at the first, an initializer in docs/catalogue. --check compares instead of
writing.
"""

import argparse
import ast
import inspect
import itertools
import json
import os
import re
import sys
import textwrap
import types
from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from fanin.initializers._registry import FAMILIES

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "public_names.txt"
FOLDER = ROOT / "docs" / "api"
WIDTH = 100  # of a signature that stays in one line
# What Markdown would take for its own; *emphasis* is meant.
_MARKUP = re.compile(r"((?<![\w*])\*\w+\*(?![\w*]))|[*<]|(?<!\w)_|_(?!\w)")


def modules() -> dict[str, list[str]]:
    """The public names by module: `fanin` first, for what it offers is described there."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    found: dict[str, list[str]] = {}
    for line in GOLDEN.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            module, _, name = line.rpartition(".")
            if not isinstance(getattr(import_module(module), name), types.ModuleType):
                found.setdefault(module, []).append(name)
    return found


def pages() -> dict[str, str]:
    """The text of every page, by file name."""
    found = modules()
    catalogue = {
        entry.name: f"../catalogue/{family}.md#{entry.name}"
        for family, entries in FAMILIES.items()
        for entry in entries
    }
    described: dict[int, str] = {}
    made = {}
    for module, names in found.items():
        made[f"{module}.md"] = _page(module, names, described, catalogue)
    return {"README.md": _index(found), **made}


def _index(found: dict[str, list[str]]) -> str:
    lines = [
        "# The public names",
        "",
        "Made by `tools/api.py` from signatures and docstrings, whose examples the tests run. What "
        "is not here is internal. Initializers are in [the catalogue](../catalogue/README.md).",
        "",
        "| module | names |",
        "| --- | --- |",
    ]
    for module, names in found.items():
        lines.append(f"| [{module}]({module}.md) | {', '.join(f'`{name}`' for name in names)} |")
    return "\n".join(lines) + "\n"


def _page(
    module: str, names: list[str], described: dict[int, str], catalogue: dict[str, str]
) -> str:
    package = import_module(module)
    parts = [f"# {module}", *_rendered(inspect.getdoc(package) or "")]
    elsewhere = []
    for name in names:
        value = getattr(package, name)
        entry = getattr(value, "name", getattr(value, "__name__", name))
        if module == "fanin.initializers" and entry in catalogue:
            elsewhere.append(f"[{name}]({catalogue[entry]})")
        elif id(value) in described:
            elsewhere.append(f"[{name}]({described[id(value)]})")
        else:
            title, text = _described(package, name, value)
            if callable(value):
                described[id(value)] = f"{module}.md#{title.lower().replace(' ', '-')}"
            parts += [f"## {title}", *text]
    if elsewhere:
        parts[2:2] = [f"Described elsewhere: {', '.join(elsewhere)}."]
    return "\n\n".join(parts) + "\n"


def _described(module: types.ModuleType, name: str, value: Any) -> tuple[str, list[str]]:
    """The heading and the blocks of one name."""
    if inspect.isfunction(value) and not value.__module__.startswith("fanin"):
        return name, [f"That of `{value.__module__}`."]
    if inspect.isclass(value) and value.__module__.startswith("fanin"):
        return f"class {name}", [*_class(name, value)]
    if inspect.isfunction(value):
        return name, [_signature(name, value), *_rendered(inspect.getdoc(value) or "")]
    return f"value {name}", [*_assigned(module, name)]


def _class(name: str, value: type) -> Iterator[str]:
    kinds = [*_described_here(value), value]
    fields = [field for kind in kinds for field in _fields(kind)]
    if any(comment for _, comment in fields):
        yield _fenced(_told(name, fields))
    elif fields:
        yield _fenced(_call(name, [text for text, _ in fields]))
    yield from _rendered(inspect.getdoc(value) or "")
    for key, member in itertools.chain.from_iterable(vars(kind).items() for kind in kinds):
        if key.startswith("_") and key != "__call__":
            continue
        computed = getattr(member, "fget", None) or getattr(member, "func", None)  # a property's
        function = computed or getattr(member, "__func__", member)
        if not inspect.isfunction(function) or not function.__doc__:
            continue  # what a class above describes has no docstring
        yield f"### {name}.{key}"
        if computed:
            yield _fenced(f"{name}.{key}: {_type(_tree(function).returns)}")
        else:
            yield _signature(f"{name}.{key}", function)
        yield from _rendered(inspect.getdoc(function) or "")


def _described_here(value: type) -> list[type]:
    """Dataclasses that a public one extends and that are not public themselves: a result's."""
    public = {line.rpartition(".")[2] for line in GOLDEN.read_text("utf-8").splitlines()}
    return [
        base
        for base in reversed(value.__mro__[1:])
        if is_dataclass(base) and is_dataclass(value) and base.__name__ not in public
    ]


def _fields(kind: type) -> list[tuple[str, str]]:
    """What a class is made with: arguments of __init__, or a dataclass's fields and comments."""
    own, lines = _tree(kind), _source(kind).splitlines()
    for node in own.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return [(argument, "") for argument in _arguments(node)]
    return [
        (ast.unparse(node), _comment(lines, node.lineno))
        for node in own.body
        if isinstance(node, ast.AnnAssign)
        and not ast.unparse(node.target).startswith("_")
        and "ClassVar" not in ast.unparse(node.annotation)
    ]


def _told(name: str, fields: list[tuple[str, str]]) -> str:
    """A call with the comments of its arguments, behind them or above."""
    lines = [f"{name}("]
    for text, comment in fields:
        line = f"    {text},  # {comment}" if comment else f"    {text},"
        if len(line) > WIDTH:
            line = textwrap.fill(comment, WIDTH - 6, initial_indent="# ", subsequent_indent="# ")
            line = textwrap.indent(f"{line}\n{text},", "    ")
        lines.append(line)
    return "\n".join([*lines, ")"])


def _signature(name: str, function: Any) -> str:
    node = _tree(inspect.unwrap(function))
    returns = f" -> {_type(node.returns)}" if node.returns else ""
    return _fenced(_call(name, _arguments(node)) + returns)


def _arguments(node: ast.FunctionDef) -> list[str]:
    """The arguments as the source has them, one each, without self."""
    bare = ast.unparse(node.args)
    call = ast.parse(f"def f({bare}): ...").body[0]
    assert isinstance(call, ast.FunctionDef)
    own, told = call.args, []
    plain = [*own.posonlyargs, *own.args]
    defaults = [None] * (len(plain) - len(own.defaults)) + [*own.defaults]
    for argument, default in zip(plain, defaults, strict=True):
        told.append(_argument(argument, default))
    if own.vararg:
        told.append(f"*{_argument(own.vararg, None)}")
    elif own.kwonlyargs:
        told.append("*")
    for argument, default in zip(own.kwonlyargs, own.kw_defaults, strict=True):
        told.append(_argument(argument, default))
    if own.kwarg:
        told.append(f"**{_argument(own.kwarg, None)}")
    return told[1:] if told and told[0] in ("self", "cls") else told


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    text = ast.unparse(argument)
    equals = " = " if argument.annotation else "="
    if isinstance(default, ast.Constant) and isinstance(default.value, str):
        return f"{text}{equals}{json.dumps(default.value)}"
    return text if default is None else f"{text}{equals}{ast.unparse(default)}"


def _type(annotation: ast.expr) -> str:
    return ast.unparse(annotation).strip("'")


def _call(name: str, arguments: list[str]) -> str:
    line = f"{name}({', '.join(arguments)})"
    if len(line) <= WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + ")"


def _source(value: Any) -> str:
    return textwrap.dedent(inspect.getsource(value))


def _tree(value: Any) -> Any:
    return ast.parse(_source(value)).body[0]


def _assigned(module: types.ModuleType, name: str) -> Iterator[str]:
    """A constant or an alias of types: as it is written, and what stands below or above it."""
    home, own = module, name
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    home, own = import_module(str(node.module)), alias.name
    if home is not module and not hasattr(home, "__path__"):
        source = inspect.getsource(home)
        body = ast.parse(source).body
        for node, after in zip(body, [*body[1:], None], strict=True):
            targets = node.targets if isinstance(node, ast.Assign) else []
            targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
            if own in map(ast.unparse, targets):
                text = ast.get_source_segment(source, node) or ""
                yield _fenced(text if len(text) <= WIDTH else text.split(" = ")[0])
                if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                    yield from _rendered(inspect.cleandoc(str(after.value.value)))
                else:
                    yield from _rendered(_comment(source.splitlines(), node.lineno))
                return
    yield _fenced(f"{name} = {getattr(module, name)!r}")


def _comment(lines: list[str], number: int) -> str:
    """The comment above a line, or at its end."""
    above = []
    for line in map(str.strip, reversed(lines[: number - 1])):
        if not line.startswith("# "):
            break
        above.append(line[2:])
    return "\n".join(reversed(above)) or lines[number - 1].partition("  # ")[2]


def _rendered(text: str) -> Iterator[str]:
    """A docstring as blocks of Markdown: paragraphs, arguments, examples."""
    for block in re.split(r"\n{2,}|(?<!\n)\n(?=Args:\n)", text.strip()):
        if block.startswith(">>>"):
            yield _fenced(block)
        elif block.startswith("Args:\n"):
            yield "\n".join(_listed(textwrap.dedent(block.partition("\n")[2])))
        elif block:
            yield "\n".join(
                line if line.startswith("    ") else _escaped(line) for line in block.splitlines()
            )


def _listed(text: str) -> Iterator[str]:
    """`name: what it is` as a list, continued lines with it."""
    for entry in re.split(r"\n(?=\S)", text.strip()):
        names, _, rest = " ".join(entry.split()).partition(": ")
        yield f"- {', '.join(f'`{name}`' for name in names.split(', '))}: {_escaped(rest)}"


def _escaped(text: str) -> str:
    """Prose that Markdown leaves as it is; what stands in backticks is left alone."""
    pieces = re.split(r"(`[^`]*`)", text)
    pieces[::2] = [_MARKUP.sub(lambda found: found[1] or f"\\{found[0]}", p) for p in pieces[::2]]
    return "".join(pieces)


def _fenced(code: str) -> str:
    return f"```python\n{code}\n```"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    made = pages()
    if parser.parse_args().check:
        there = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.md")}
        different = sorted(name for name in {*made, *there} if made.get(name) != there.get(name))
        print(f"docs/api: {', '.join([*different, 'DIFFERENT']) if different else 'same'}")
        return int(bool(different))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in set(FOLDER.glob("*.md")) - {FOLDER / name for name in made}:
        path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, "utf-8")
    print(f"wrote {len(made)} pages to {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
