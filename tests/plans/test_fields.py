"""What is wrong in a plan's file is named, with its line; nothing wrong is taken."""

import re
import string
import tempfile
from pathlib import Path

import ml_dtypes
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import fanin
from fanin import FaninError, Plan


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), nn.Embedding(5, 4, padding_idx=2))


TEXT = """\
format = 1
stream = 1
recipe = "auto"
notes = []
seed = "3"

[[parameter]]
name = "0.weight"
shape = [4, 4]
dtype = "float32"
role = "linear"
initializer = "he_normal()"
axes = "out in"
why = "because"
aliases = ["other.weight"]
output = 1.0
lr = 0.5

[[parameter]]
name = "1.weight"
shape = [5, 4]
dtype = "float32"
role = "table"
initializer = "kept"
axes = "stack out"
why = "because"
kept = "{}"
zero_row = 2
""".format("0" * 64)


def load(text: str) -> Plan:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.toml"
        path.write_text(text, "utf-8")
        return Plan.load(path)


def changed(key: str, value: str) -> str:
    text = re.sub(rf"^{key} = .*$", lambda _: f"{key} = {value}", TEXT, count=1, flags=re.MULTILINE)
    assert text != TEXT
    return text


def test_the_file_is_sound() -> None:
    plan = load(TEXT)
    assert (plan.seed, plan["other.weight"].lr_factor, plan["1.weight"].zero_row) == (3, 0.5, 2)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seed", "3.7", r"line 5, .*seed is 3\.7; it must be an integer in \[0, 2\*\*64\)"),
        ("seed", "true", "line 5, .*seed is True"),
        ("seed", "inf", "seed is inf"),
        ("seed", '"-1"', "seed is '-1'"),
        ("seed", '"18446744073709551616"', "seed is '18446744073709551616'"),
        ("seed", '"x"', "seed is 'x'"),
        ("recipe", "1", "line 3, .*recipe is 1; it must be text"),
        ("notes", '"a"', "line 4, .*notes is 'a'; it must be a list of texts"),
        ("notes", "[1]", r"notes is \[1\]"),
        ("name", "1", "line 8, parameter number 1: name is 1"),
        ("name", '""', "name is ''"),
        ("shape", "[4.9, 4]", r"line 9, parameter 0\.weight: shape is \[4\.9, 4\]; it must be a"),
        ("shape", "[true, 4]", "shape is "),
        ("shape", "[-1, 4]", "shape is "),
        ("shape", '"4"', "shape is '4'"),
        ("shape", "[4, 4, 4]", "names 2 axes of shape"),
        ("shape", f"[{2**40}, {2**40}]", "a tensor has fewer than"),
        ("dtype", "1", "dtype is 1; it must be a type such as 'float32'"),
        ("dtype", '"float33"', "dtype is 'float33'; it must be a type such as"),
        ("dtype", '"foat32"', "dtype is 'foat32'"),
        ("role", "true", "role is True; it must be text"),
        ("role", "nan", "role is nan"),
        ("initializer", "2", "initializer is 2"),
        ("initializer", '"he_norml"', "line 12, .*unknown initializer 'he_norml': did you mean"),
        ("initializer", '"constant([1, 2])"', r"has shape \(2,\), the parameter has"),
        ("axes", "1", "axes is 1; it must be text"),
        ("axes", '"out"', "names 1 axes of shape"),
        ("axes", '"out inn"', "axes has the role 'inn'"),
        ("why", "1", "why is 1"),
        ("aliases", '"a"', "aliases is 'a'; it must be a list of names"),
        ("output", "-1", "output is -1; it must be a finite number >= 0"),
        ("output", "nan", "output is nan"),
        ("lr", '"1"', "lr is '1'"),
        ("kept", '"00"', "kept is '00'; it must be a SHA-256"),
        ("zero_row", "5", "zero_row is 5; shape is"),
        ("zero_row", "-1", "zero_row is -1"),
        ("format", "true", "has format True; this fanin reads format 1"),
        ("stream", "1.0", r"has stream 1\.0; this fanin reads stream 1"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(key: str, value: str, message: str) -> None:
    with pytest.raises(FaninError, match=message) as raised:
        load(changed(key, value))
    assert "plan.toml" in str(raised.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("group = 2", r"line 8, parameter 0\.weight: unknown key 'group': did you mean 'groups'\?"),
        ("groups = 2.0", "groups is 2.0; it must be an integer >= 1"),
        ("groups = 3", "groups is 3; it must divide the 4 outputs"),
        ("transposed = 1", "transposed is 1; it must be true or false"),
        ("stride = 0", "stride is 0"),
        ("stride = [2, 2]", "has 2 numbers; axes 'out in' has 0 kernel axes"),
        ("blocks = [3]", r"blocks \(3,\) sum to 3"),
        ("averaged = 0", "averaged is 0"),
    ],
)
def test_further_keys_are_checked(line: str, message: str) -> None:
    with pytest.raises(FaninError, match=message):
        load(TEXT.replace("[[parameter]]\n", f"[[parameter]]\n{line}\n", 1))


@pytest.mark.parametrize("key", ["name", "shape", "dtype", "role", "initializer", "axes", "why"])
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(FaninError, match=rf"parameter .* has no {key}; it is "):
        load(re.sub(rf"^{key} = .*\n", "", TEXT, count=1, flags=re.MULTILINE))


def test_an_unknown_library_is_told_and_all_types_of_the_libraries_are_known() -> None:
    """A library that is none would be taken for another one, whose layers store otherwise."""
    with pytest.raises(FaninError, match=r"line 1, .*library is 'troch'; it must be one"):
        load(f'library = "troch"\n{TEXT}')
    found = [str(kind) for kind in vars(torch).values() if isinstance(kind, torch.dtype)]
    types = {name.removeprefix("torch.") for name in found}
    types |= {name for name, kind in vars(ml_dtypes).items() if isinstance(kind, type)}
    for name in types - {"float32", "finfo", "iinfo"}:
        assert load(changed("dtype", f'"{name}"'))["0.weight"].dtype == name


def test_unknown_keys_of_the_head_are_named() -> None:
    with pytest.raises(FaninError, match="line 1, the head of the file: unknown key 'sed': did"):
        load(f"sed = 1\n{TEXT}")


VALUES = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.floats().map(str),
    st.sampled_from(["true", "[]", "{}", "[[1]]", "''", "1979-05-27", "[{a = 1}]", "nan", "-0.0"]),
    st.lists(st.integers(-2, 9), max_size=4).map(str),
    st.text(string.printable, max_size=12).map(lambda text: f"'{text}'"),
)
KEYS = st.sampled_from(sorted(set(re.findall(r"^(\w+) = ", TEXT, re.MULTILINE))))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(KEYS, VALUES)
def test_any_value_loads_or_is_a_fanin_error(key: str, value: str) -> None:
    """What loads prints, is saved and read back, and audits a model: no other exception."""
    try:
        plan = load(changed(key, value)) if f"{key} = {value}\n" not in TEXT else load(TEXT)
    except FaninError:
        return
    assert str(plan)
    with tempfile.TemporaryDirectory() as folder:
        assert Plan.load(plan.save(Path(folder) / "again.toml")) == plan
    try:
        plan.audit(model())
        plan.apply(model())
    except FaninError:
        pass


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(0, len(TEXT) - 1), st.integers(1, 30), st.text(string.printable, max_size=3))
def test_any_cut_loads_or_is_a_fanin_error(start: int, length: int, put: str) -> None:
    try:
        plan = load(TEXT[:start] + put + TEXT[start + length :])
    except FaninError:
        return
    assert str(plan)


def test_the_longest_names_of_files_are_written(tmp_path: Path) -> None:
    plan = fanin.plan(nn.Linear(3, 3))
    for length in (240, 255):
        path = tmp_path / f"{'a' * (length - 5)}.toml"
        assert Plan.load(plan.save(path)) == plan
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(FaninError, match="cannot write the plan"):
        plan.save(tmp_path / f"{'a' * 251}.toml")
    assert len(list(tmp_path.iterdir())) == 2
