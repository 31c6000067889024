"""fanin.frameworks.torch.init: torch.nn.init's functions with fanin's values."""

import inspect
import math
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed.tensor import DeviceMesh, DTensor, Shard
from torch.testing._internal.distributed.fake_pg import FakeStore

import fanin
from fanin import FaninError, initializers
from fanin.frameworks.torch import init

# Not `__all__`, which torch 2.6 does not have.
PUBLIC = sorted(
    name
    for name, value in vars(torch.nn.init).items()
    if inspect.isfunction(value) and not name.startswith("_")
)
OLD = [name for name in PUBLIC if f"{name}_" in PUBLIC]
FUNCTIONS = [name for name in PUBLIC if name not in (*OLD, "calculate_gain")]
REQUIRED = {"constant_": {"val": 0.5}, "sparse_": {"sparsity": 0.5}}
DRAWING = [
    name for name in FUNCTIONS if name not in ("constant_", "ones_", "zeros_", "eye_", "dirac_")
]
SQUARE = {name: (6, 4, 3) if name == "dirac_" else (6, 4) for name in FUNCTIONS}
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)

# What each function draws for a weight of shape (6, 4), as an expression of fanin.initializers.
SAME = {
    "uniform_": ({"a": -0.5, "b": 0.25}, "uniform(-0.5, 0.25)"),
    "normal_": ({"mean": 0.5, "std": 0.02}, "normal(0.5, 0.02)"),
    "trunc_normal_": ({"std": 0.02, "a": -0.04, "b": 0.06}, "truncated_normal(0, 0.02, -2, 3)"),
    "xavier_uniform_": ({}, "glorot_uniform"),
    "xavier_normal_": ({}, "glorot_normal"),
    "kaiming_uniform_": ({}, "he_uniform"),
    "kaiming_normal_": ({"mode": "fan_out", "nonlinearity": "relu"}, "he_normal('fan_out')"),
}


def call(function: str, tensor: torch.Tensor, /, **more: object) -> torch.Tensor:
    result: torch.Tensor = getattr(init, function)(tensor, **REQUIRED.get(function, {}), **more)
    return result


def bits(tensor: torch.Tensor) -> list[object]:
    return tensor.detach().contiguous().view(torch.uint8).tolist() if tensor.numel() else []


def test_every_public_name_of_torch_is_there() -> None:
    assert {"sparse_", "calculate_gain"} < {*PUBLIC}
    missing = {*PUBLIC, *getattr(torch.nn.init, "__all__", ())} - {*dir(init)}
    assert not missing


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parameters_and_defaults_are_torchs(name: str) -> None:
    theirs = inspect.signature(getattr(torch.nn.init, name)).parameters
    ours = inspect.signature(getattr(init, name)).parameters
    assert [*ours] == [*theirs, "seed", "name"]
    for key, parameter in theirs.items():
        assert (ours[key].default, ours[key].kind) == (parameter.default, parameter.kind)
    assert {ours[key].kind for key in ("seed", "name")} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_are_those_of_fanin(name: str, dtype: torch.dtype) -> None:
    arguments, expression = SAME[name]
    tensor = torch.empty(6, 4, dtype=dtype)
    assert getattr(init, name)(tensor, **arguments, seed=3, name="head.weight") is tensor
    expected = torch.empty(6, 4, dtype=dtype)
    raw = (
        expected.view(torch.int16).numpy().view(np.uint16)
        if dtype.itemsize == 2
        else expected.numpy()
    )
    initializers.get(expression)(
        (6, 4), seed=3, name="head.weight", dtype=str(dtype).removeprefix("torch."), out=raw
    )
    assert torch.equal(tensor, expected)


@given(
    shape=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    mode=st.sampled_from(["fan_in", "fan_out"]),
    seed=st.integers(0, 2**64 - 1),
)
def test_the_presets_have_the_same_bits_for_any_shape(
    shape: list[int], mode: str, seed: int
) -> None:
    def same(drawn: torch.Tensor, preset: initializers.Initializer) -> bool:
        return np.array_equal(drawn.numpy(), preset(shape, seed=seed, name="weight"))

    def empty() -> torch.Tensor:
        return torch.empty(shape)

    assert same(init.xavier_uniform_(empty(), seed=seed), initializers.glorot_uniform())
    assert same(init.xavier_normal_(empty(), seed=seed), initializers.glorot_normal())
    assert same(init.kaiming_uniform_(empty(), mode=mode, seed=seed), initializers.he_uniform(mode))
    assert same(init.kaiming_normal_(empty(), mode=mode, seed=seed), initializers.he_normal(mode))


@pytest.mark.parametrize(
    ("nonlinearity", "a"),
    [
        ("linear", 0),
        ("tanh", 0),
        ("selu", 0),
        ("relu", 0),
        ("leaky_relu", 0.3),
        ("leaky_relu", None),
    ],
)
def test_gains_are_torchs_table(nonlinearity: str, a: float | None) -> None:
    assert init.calculate_gain is torch.nn.init.calculate_gain
    drawn = init.kaiming_normal_(torch.empty(30, 50), a, "fan_in", nonlinearity, seed=1)
    std = torch.nn.init.calculate_gain(nonlinearity, a) / math.sqrt(50)
    expected = initializers.normal(std=std)((30, 50), seed=1, name="weight")
    np.testing.assert_allclose(drawn.numpy(), expected, rtol=2e-7)
    drawn = init.xavier_uniform_(torch.empty(30, 50), 5 / 3, seed=1)
    limit = 5 / 3 * math.sqrt(6 / 80)
    expected = initializers.uniform(-limit, limit)((30, 50), seed=1, name="weight")
    np.testing.assert_allclose(drawn.numpy(), expected, rtol=2e-7)


@pytest.mark.parametrize("name", DRAWING)
def test_torchs_generator_governs_where_no_seed_is_given(name: str) -> None:
    def draw(**how: object) -> list[object]:
        return bits(call(name, torch.empty(12, 9), **how))

    torch.manual_seed(5)
    first, second = draw(), draw()
    assert first != second
    torch.manual_seed(5)
    assert [draw(), draw()] == [first, second]
    assert draw(generator=torch.Generator().manual_seed(5)) == first
    assert draw(seed=8) == draw(seed=8) != draw(seed=8, name="other")
    assert draw(seed=8) == draw(seed=8, name="weight")


def test_a_seed_leaves_torchs_generator_alone() -> None:
    before = torch.get_rng_state()
    init.normal_(torch.empty(3), seed=1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", DRAWING)
def test_any_strides_and_parameters_that_train(name: str) -> None:
    straight = call(name, torch.empty(6, 4), seed=2)
    turned = torch.nn.Parameter(torch.empty(4, 6)).T
    call(name, turned, seed=2)
    assert torch.equal(turned, straight)
    wide = torch.zeros(6, 8)
    call(name, wide[:, ::2], seed=2)
    assert torch.equal(wide[:, ::2], straight)
    assert not wide[:, 1::2].any()
    parameter = torch.nn.Parameter(torch.empty(6, 4))
    assert call(name, parameter, seed=2) is parameter
    assert parameter.requires_grad
    assert parameter.grad_fn is None


@pytest.mark.parametrize("name", FUNCTIONS)
def test_version_counters_move(name: str) -> None:
    parameter = torch.nn.Parameter(torch.empty(SQUARE[name]))
    for context in (torch.enable_grad(), torch.inference_mode()):
        before = parameter._version
        with context:
            call(name, parameter)
        assert parameter._version > before


def test_autograd_notices_the_write() -> None:
    weight = torch.ones(3, requires_grad=True)
    loss = (weight * weight).sum()
    init.normal_(weight, seed=0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_meta_tensors_are_returned_as_they_are(name: str) -> None:
    tensor = torch.empty(SQUARE[name], device="meta")
    state = torch.get_rng_state()
    assert call(name, tensor) is tensor
    assert torch.equal(torch.get_rng_state(), state)


def test_a_default_device_changes_nothing() -> None:
    tensor = torch.empty(3, 4)
    with torch.device("meta"):
        torch.manual_seed(1)
        init.normal_(tensor)
    torch.manual_seed(1)
    assert torch.equal(tensor, init.normal_(torch.empty(3, 4)))


@pytest.mark.parametrize("name", ["kaiming_uniform_", "kaiming_normal_"])
def test_tensors_without_elements_warn_as_torch_does(name: str) -> None:
    with pytest.warns(UserWarning, match="zero-element tensors is a no-op") as caught:
        call(name, torch.empty(0, 4))
    assert caught[0].filename == __file__.replace(".pyc", ".py")


@pytest.mark.parametrize("name", [one for one in DRAWING if "kaiming" not in one])
@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0)])
def test_tensors_without_elements_are_returned(name: str, shape: tuple[int, int]) -> None:
    assert call(name, torch.empty(shape)).shape == shape


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("eye_", (3,)),
        ("dirac_", (3, 4)),
        ("xavier_uniform_", (3,)),
        ("xavier_normal_", ()),
        ("kaiming_uniform_", (3,)),
        ("kaiming_normal_", (3,)),
        ("orthogonal_", (3,)),
        ("sparse_", (3, 4, 5)),
    ],
)
def test_wrong_ranks_raise_what_torch_raises(name: str, shape: tuple[int, ...]) -> None:
    for module in (torch.nn.init, init):
        tensor = torch.full(shape, 7.0)
        with pytest.raises(ValueError, match=r"dimensions|two axes|2-D|axes"):
            getattr(module, name)(tensor, **REQUIRED.get(name, {}))
        assert (tensor == 7).all()


@pytest.mark.parametrize(
    ("wrong", "exception", "message"),
    [
        (lambda to, t: to.normal_(t, 0, -1), RuntimeError, r"std >= 0|std of normal is -1"),
        (lambda to, t: to.uniform_(t, 1, 0), RuntimeError, r"from=1 > to=0|low must be < high"),
        (lambda to, t: to.uniform_(t, 0, math.inf), RuntimeError, r"out of bounds|finite number"),
        (lambda to, t: to.xavier_uniform_(t, -1.0), RuntimeError, r"from=|low must be < high"),
        (lambda to, t: to.kaiming_normal_(t, mode="fan_avg"), ValueError, r"fan_in.*fan_out"),
        (lambda to, t: to.kaiming_normal_(t, nonlinearity="no"), ValueError, "Unsupported"),
        (lambda to, t: to.kaiming_uniform_(t, "x"), ValueError, "x not a valid number"),
        (lambda to, t: to.normal_(t.int()), RuntimeError, r"'Int'|dtype is 'int32'"),
        (lambda to, t: to.normal_(t[:1].expand(5, 4)), RuntimeError, "memory"),
    ],
)
def test_wrong_numbers_raise_what_torch_raises(
    wrong: Callable[[object, torch.Tensor], object], exception: type[Exception], message: str
) -> None:
    for module in (torch.nn.init, init):
        tensor = torch.full((3, 4), 7.0)
        with pytest.raises(exception, match=message):
            wrong(module, tensor)
        assert (tensor == 7).all()


def test_what_torch_refuses_or_takes_otherwise() -> None:
    tensor = torch.full((3, 4), 7.0)
    with pytest.raises(FaninError, match="seed is 1 and a generator is given; give one of them"):
        init.normal_(tensor, generator=torch.Generator(), seed=1)
    with pytest.raises(FaninError, match="seed is -1; a seed is an integer"):
        init.normal_(tensor, seed=-1)
    with pytest.raises(FaninError, match="name is ''"):
        init.normal_(tensor, name="")
    with pytest.raises(FaninError, match=r"std of trunc_normal_ is 0; it must be > 0"):
        init.trunc_normal_(tensor, std=0)
    with pytest.raises(FaninError, match=r"at most 12\.5"), pytest.warns(match="more than 2 std"):
        init.trunc_normal_(tensor, std=0.02, a=1.0)
    assert (tensor == 7).all()


def test_tensors_of_inference_mode_are_written_there_only() -> None:
    with torch.inference_mode():
        theirs, tensor = torch.empty(3, 4), torch.full((3, 4), 7.0)
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor"):
        torch.nn.init.normal_(theirs)
    with pytest.raises(FaninError, match=r"inference mode.*write its clone"):
        init.normal_(tensor)
    assert (tensor == 7).all()
    with torch.inference_mode():
        init.normal_(tensor, seed=0)
    assert torch.equal(tensor, init.normal_(torch.empty(3, 4), seed=0))


def test_bounds_that_touch() -> None:
    assert (init.uniform_(torch.empty(3), 0.5, 0.5) == 0.5).all()
    assert (init.trunc_normal_(torch.empty(3), 0.0, 1.0, 0.5, 0.5) == 0.5).all()
    assert (init.xavier_uniform_(torch.empty(3, 4), 0.0) == 0).all()
    assert (init.xavier_normal_(torch.empty(3, 4), 0.0) == 0).all()


@given(
    mean=st.floats(-10, 10),
    std=st.floats(1e-3, 10),
    low=st.floats(-4, 3.5),
    width=st.floats(0.01, 5),
)
def test_truncated_values_stay_inside_bounds_that_are_values(
    mean: float, std: float, low: float, width: float
) -> None:
    a, b = mean + low * std, mean + (low + width) * std
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        drawn = init.trunc_normal_(torch.empty(256, dtype=torch.float64), mean, std, a, b, seed=0)
    assert a <= drawn.min()
    assert drawn.max() <= b


def test_a_far_mean_warns_as_torch_does() -> None:
    for module in (torch.nn.init, init):
        with pytest.warns(UserWarning, match=r"mean.* is more than 2 std from \[") as caught:
            module.trunc_normal_(torch.empty(9), mean=5.0, std=1.0)
        assert len(caught) == 1


def test_fills_are_torchs_own() -> None:
    for name in ("constant_", "ones_", "zeros_", "eye_", "dirac_"):
        own, theirs = torch.empty(SQUARE[name]), torch.empty(SQUARE[name])
        assert call(name, own, seed=1, name="x") is own
        assert torch.equal(own, getattr(torch.nn.init, name)(theirs, **REQUIRED.get(name, {})))
    own = init.dirac_(torch.empty(6, 3, 3), groups=2)
    assert torch.equal(own, torch.nn.init.dirac_(torch.empty(6, 3, 3), 2))


@pytest.fixture
def second_of_two() -> Iterator[DeviceMesh]:
    """The mesh of two processes, as the second one sees it."""
    torch.distributed.init_process_group("fake", rank=1, world_size=2, store=FakeStore())
    yield DeviceMesh("cpu", torch.arange(2))
    torch.distributed.destroy_process_group()


def test_a_process_draws_its_part_of_a_sharded_tensor(second_of_two: DeviceMesh) -> None:
    tensor = DTensor.from_local(torch.zeros(3, 4), second_of_two, [Shard(0)])
    assert init.kaiming_normal_(tensor, seed=1, name="head") is tensor
    whole = initializers.he_normal()((6, 4), seed=1, name="head")
    assert np.array_equal(tensor.to_local(), whole[3:])
    with pytest.raises(FaninError, match=r"\(6, 4\) is sharded.*give seed= and name="):
        init.normal_(tensor)
    assert np.array_equal(tensor.to_local(), whole[3:])


@pytest.mark.parametrize("name", OLD)
def test_old_names_warn_and_work(name: str) -> None:
    tensor = torch.empty(SQUARE[f"{name}_"])
    arguments = REQUIRED.get(f"{name}_", {})
    with pytest.warns(FutureWarning, match=f"{name}_"):
        drawn = getattr(init, name)(tensor, **arguments)
    assert drawn is tensor


def test_complex_tensors() -> None:
    """Normal ones have E|z|**2 = std**2, as torch's have; uniform ones uniform parts."""
    n = 10**5  # a bound of 6 standard errors
    for name, std in (("normal_", 1.0), ("xavier_normal_", 0.1), ("kaiming_normal_", 0.1)):
        tensor = torch.empty(1000, 100, dtype=torch.complex64)
        gain = {"nonlinearity": "linear"} if "kaiming" in name else {}
        gain = {"gain": 5.5**0.5} if "xavier" in name else gain
        getattr(init, name)(tensor, **gain, seed=1)
        for part in (tensor.real, tensor.imag):
            assert abs(part.std().item() * 2**0.5 / std - 1) < 6 / (2 * n) ** 0.5
    tensor = torch.empty(100, 100, dtype=torch.complex128, requires_grad=True)
    before = tensor._version
    assert init.uniform_(tensor, -1.0, 2.0, seed=1) is tensor
    assert tensor._version > before
    expected = initializers.uniform(-1.0, 2.0)(
        (100, 100, 2), seed=1, name="weight", dtype="float64"
    )
    assert np.array_equal(torch.view_as_real(tensor.detach()).numpy(), expected)
    for name in ("trunc_normal_", "orthogonal_", "sparse_"):
        with pytest.raises(RuntimeError, match="no complex form"):
            call(name, torch.empty(6, 4, dtype=torch.complex64))


def test_a_model_initialized_twice_is_the_same() -> None:
    """The use: the functions of a training script, with the names of the parameters."""
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Linear(8, 2))
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            init.kaiming_normal_(parameter, seed=0, name=name)
    drawn = model[0].weight.detach().clone()
    fanin.initialize(model, 0, initializer="he_normal")
    assert torch.equal(model[0].weight, drawn)
