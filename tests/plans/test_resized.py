"""rows=: of a table that has grown the new rows alone are drawn, beside those that it has."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import fanin
from fanin import FaninError, Plan
from fanin.cli import main

DRAWN = "normal(std=0.02)"


class Words(nn.Module):
    """A table and a head of as many rows."""

    def __init__(self, rows: int, width: int = 6, padding: int | None = None) -> None:
        super().__init__()
        self.emb = nn.Embedding(rows, width, padding_idx=padding)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, rows)

    def forward(self, tokens: Tensor) -> Any:
        return self.head(self.mix(self.emb(tokens)).relu())

    def grown(self, rows: int) -> "Words":
        """The same model with more rows, of which the new ones hold NaN, as if never written."""
        larger = Words(rows, self.emb.embedding_dim, self.emb.padding_idx)
        with torch.no_grad():
            larger.mix.load_state_dict(self.mix.state_dict())
            for mine, theirs in ((larger.emb, self.emb), (larger.head, self.head)):
                for name, tensor in mine.named_parameters():
                    tensor.fill_(torch.nan)
                    tensor[: len(theirs.weight)] = theirs.get_parameter(name)
        return larger


def changed(model: nn.Module, before: dict[str, Tensor]) -> dict[str, list[int]]:
    """The rows of each parameter that hold other bits than before."""
    found = {}
    for name, value in model.state_dict().items():
        unlike = value.view(torch.int32) != before[name].view(torch.int32)
        if unlike.any():
            found[name] = (
                unlike.flatten(1).any(1).nonzero().flatten().tolist()
                if value.ndim > 1
                else [int(at) for at in unlike.nonzero()]
            )
    return found


def bits(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_two_steps_are_one_and_the_rows_of_the_whole(data: Any) -> None:
    """Addresses are row-major, so they do not depend on how many rows there are."""
    sizes = [data.draw(st.integers(1, 9))]
    for _ in range(data.draw(st.integers(1, 3))):
        sizes.append(sizes[-1] + data.draw(st.integers(1, 7)))
    width, seed = data.draw(st.integers(1, 9)), data.draw(st.integers(0, 2**64 - 1))
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
    spec = data.draw(
        st.sampled_from([DRAWN, "truncated_normal(std=0.1)", "uniform(-1, 1)", "laplace(0.0, 1.0)"])
    )

    def table(rows: int) -> nn.Embedding:
        return nn.Embedding(rows, width, dtype=dtype)

    whole = table(sizes[-1])
    fanin.initialize(whole, seed, initializer=spec)
    steps, once = table(sizes[0]), table(sizes[-1])
    fanin.initialize(steps, seed, initializer=spec, prefix="")
    start = steps.weight.detach().clone()
    for size in sizes[1:]:
        before, steps = steps.weight.detach(), table(size)
        with torch.no_grad():
            steps.weight[: len(before)] = before
        rows = {"weight": slice(len(before), None)}
        fanin.initialize(steps, seed, initializer=spec, rows=rows).verify(steps)
    with torch.no_grad():
        once.weight[: sizes[0]] = start
    fanin.initialize(once, seed, initializer=spec, rows={"weight": slice(sizes[0], sizes[-1])})
    assert torch.equal(steps.weight, once.weight)
    assert torch.equal(once.weight, whole.weight)


def test_nothing_but_the_rows_changes() -> None:
    model = Words(20).grown(24)
    before = bits(model)
    rows = {"emb.weight": slice(20, 24), "head.weight": slice(-4, None), "head.bias": slice(20, 24)}
    plan = fanin.initialize(model, 3, torch.zeros(2, 5, dtype=torch.long), rows=rows)
    assert changed(model, before) == {name: [20, 21, 22, 23] for name in rows}
    assert plan["mix.weight"].why == "kept as it is, not among rows="
    assert plan.audit(model).ok
    plan.verify(model)
    with torch.no_grad():
        model.emb.weight[22, 1] += 1
    with pytest.raises(FaninError, match=r"emb\.weight holds other values"):
        plan.verify(model)


def test_rows_and_only_are_drawn_together() -> None:
    model = Words(20).grown(24)
    before = bits(model)
    plan = fanin.initialize(model, 0, only="mix.*", rows={"emb.weight": slice(20, 24)})
    assert {*changed(model, before)} == {"mix.weight", "mix.bias", "emb.weight"}
    assert plan["head.weight"].why == "kept as it is, not among only= or rows="
    model = Words(20).grown(24)
    before = bits(model)
    fanin.initialize(model, 0, keep=["emb.*", "mix.*"], rows={"emb.weight": slice(20, 24)})
    assert changed(model, before).keys() == {"emb.weight", "head.weight", "head.bias"}
    assert changed(model, before)["emb.weight"] == [20, 21, 22, 23]


def test_a_plan_of_the_smaller_model_tells_which_rows_are_new() -> None:
    small = Words(20)
    saved = fanin.plan(small, torch.zeros(2, 5, dtype=torch.long))
    model = small.grown(23)
    before = bits(model)
    plan = fanin.initialize(model, 0, rows=saved)
    assert {row.name: row.drawn_rows for row in plan.rows if row.initializer} == dict.fromkeys(
        ("emb.weight", "head.weight", "head.bias"), (20, 23)
    )
    grown = ("emb.weight", "head.weight", "head.bias")
    assert changed(model, before) == {name: [20, 21, 22] for name in grown}
    with pytest.raises(FaninError, match="no parameter has another shape here"):
        fanin.plan(small, rows=saved)
    with pytest.raises(FaninError, match=r"emb\.weight has shape \(20, 6\), and \(23, 6\) in the"):
        fanin.plan(small, rows=plan)
    wider = Words(20, width=8)
    with pytest.raises(FaninError, match=r"emb\.weight has shape \(20, 8\).* more rows are all"):
        fanin.plan(wider, rows=saved)


def test_a_plan_of_the_whole_is_applied_to_rows() -> None:
    model, whole = Words(20).grown(24), Words(24)
    plan = fanin.plan(whole, torch.zeros(2, 5, dtype=torch.long))
    plan.apply(whole, 5)
    before = bits(model)
    applied = plan.apply(model, 5, rows={"emb.weight": slice(20, 24)})
    assert changed(model, before) == {"emb.weight": [20, 21, 22, 23]}
    assert torch.equal(model.emb.weight[20:], whole.emb.weight[20:])
    applied.verify(model)


def test_a_row_of_padding_stays_zero() -> None:
    model = Words(20, padding=2).grown(24)
    model.emb.padding_idx = 21  # among the new ones
    fanin.initialize(model, 0, rows={"emb.weight": slice(20, 24)})
    assert model.emb.weight[21].count_nonzero() == 0
    assert model.emb.weight[2].count_nonzero() == 0
    assert model.emb.weight[[20, 22, 23]].ne(0).all()


def test_a_tied_table_is_one() -> None:
    model = Words(20).grown(24)
    model.head.weight = model.emb.weight
    plan = fanin.initialize(model, 0, rows={"head.weight": slice(20, 24)})
    assert plan["emb.weight"].drawn_rows == (20, 24)
    assert model.head.weight.isfinite().all()


def test_what_stays_is_proved_when_sealed(tmp_path: Any) -> None:
    model = Words(20).grown(24)
    rows = {"emb.weight": slice(20, 24)}
    plan = fanin.initialize(model, 0, rows=rows).seal(model)
    assert Plan.load(plan.save(tmp_path / "plan.toml")) == plan
    with torch.no_grad():
        model.emb.weight[20:] = 0  # drawn again by apply
        model.head.weight[20:] = 0
        model.head.bias[20:] = 0
    sealed = fanin.plan(model, rows=rows).seal(model)
    sealed.apply(model, 0).verify(model)
    with torch.no_grad():
        model.emb.weight[0, 0] += 1
    with pytest.raises(FaninError, match=r"emb\.weight .* kept by the plan, but for the rows"):
        sealed.apply(model, 0)
    with pytest.raises(FaninError, match=r"emb\.weight holds other values"):
        sealed.verify(model, 0)
    assert any("in rows 20 to 23" in line for line in fanin.plan(model).diff(sealed))


@pytest.mark.parametrize("text", ["[24]", "[3, 3]", "[20, 25]", "[4, 2]", '"all"'])
def test_files_with_wrong_rows(text: str, tmp_path: Any) -> None:
    model = Words(20).grown(24)
    path = fanin.plan(model, rows={"emb.weight": slice(20, 24)}).save(tmp_path / "plan.toml")
    path.write_text(path.read_text().replace("rows = [20, 24]", f"rows = {text}"))
    with pytest.raises(FaninError, match=r"line \d+, parameter emb\.weight: rows is"):
        Plan.load(path)


def test_present_rows_have_mean_and_covariance_of_those_that_stay() -> None:
    torch.manual_seed(0)
    model = nn.Embedding(5000, 4)
    mixed = torch.randn(1000, 4) @ torch.randn(4, 4) + torch.tensor([1.0, -2.0, 0.0, 5.0])
    with torch.no_grad():
        model.weight.fill_(torch.nan)
        model.weight[:1000] = mixed
    plan = fanin.initialize(
        model, 1, rows={"weight": slice(1000, 5000)}, overrides={"weight": "present_rows()"}
    )
    new = model.weight[1000:].detach()
    # Standard errors of 4000 rows, five times over.
    spread = mixed.T.cov(correction=0)
    assert torch.allclose(new.mean(0), mixed.mean(0), atol=5 * float(spread.max()) ** 0.5 / 63)
    assert torch.allclose(new.T.cov(), spread, atol=5 * 1.42 * float(spread.max()) / 63)
    plan.verify(model)
    assert plan.audit(model).ok
    assert plan["weight"].std is None
    fanin.initialize(
        model, 1, rows={"weight": slice(1000, 5000)}, overrides={"weight": "present_rows(1e-9)"}
    )
    assert torch.allclose(model.weight[1000:], mixed.mean(0).expand(4000, 4), atol=1e-3)


@pytest.mark.parametrize("held", [range(0, 64), range(61, 130), range(125, 144), range(30, 40)])
def test_a_part_on_this_process_gets_its_rows(held: range) -> None:
    """Flat pieces of (24, 6), of which rows 20 to 23 are elements 120 to 143."""
    whole = nn.Embedding(24, 6)
    plan = fanin.plan(whole, initializer=DRAWN)
    plan.apply(whole, 5)
    part = nn.Embedding(24, 6)
    part.weight = nn.Parameter(torch.full((len(held),), 7.0))
    shards = {"weight": ((24, 6), held)}
    applied = plan.apply(part, 5, shards=shards, rows={"weight": slice(20, 24)})
    expected = torch.full((144,), 7.0)
    expected[120:] = whole.weight.detach().flatten()[120:]
    assert torch.equal(part.weight.detach(), expected[held.start : held.stop])
    applied.verify(part, shards=shards)


def test_files_are_verified_row_by_row(tmp_path: Any, capsys: Any) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    model = Words(20).grown(24)
    with torch.no_grad():
        model.head.weight[20:] = 0
        model.head.bias[20:] = 0
    plan = fanin.initialize(model, 0, rows={"emb.weight": slice(20, 24)}).seal(model)
    path, file = plan.save(tmp_path / "plan.toml"), tmp_path / "model.safetensors"
    safetensors.save_file(model.state_dict(), file)
    assert main(["verify", str(path), str(file)]) == 0
    for row, told in ((3, "other values in the rows that the plan keeps"), (21, "element (21, 0)")):
        changed_too = {name: value.clone() for name, value in model.state_dict().items()}
        changed_too["emb.weight"][row, 0] += 1
        safetensors.save_file(changed_too, file)
        capsys.readouterr()
        assert main(["verify", str(path), str(file)]) == 1
        assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"rows": 3}, r"rows is 3; give \{'emb.weight': slice"),
        ({"rows": {}}, "rows selects no parameter"),
        ({"rows": {"emb.wieght": slice(1, 2)}}, "rows has 'emb.wieght': did you mean 'emb.weight'"),
        ({"rows": {"emb.weight": 3}}, r"rows\['emb.weight'\] is 3; give a slice without steps"),
        ({"rows": {"emb.weight": slice(0, 9, 2)}}, "give a slice without steps"),
        ({"rows": {"emb.weight": slice(24, 30)}}, r"emb.weight of shape \(24, 6\) has 24 rows"),
        ({"rows": {"emb.weight": slice(5, 5)}}, "has 24 rows. Name rows that it has"),
        ({"rows": {"emb.weight": slice("a", None)}}, "its ends are integers"),
        (
            {"rows": {"emb.weight": slice(20, 24)}, "overrides": {"emb.weight": "orthogonal"}},
            r"rows of emb.weight \(24, 6\) are to be drawn by orthogonal",
        ),
        (
            {"rows": {"emb.weight": slice(0, 24)}, "overrides": {"emb.weight": "present_rows"}},
            "needs rows of finite values beside those that it draws; the table has none",
        ),
        ({"overrides": {"emb.weight": "present_rows"}}, "Say which are new: rows="),
        (
            {"rows": {"emb.weight": slice(20, 24)}, "recipe": "lsuv"},
            "recipe lsuv sizes whole weights",
        ),
    ],
)
def test_bad_rows_leave_the_model_as_it_was(how: dict[str, Any], told: str) -> None:
    model = Words(20).grown(24)
    with torch.no_grad():
        model.head.load_state_dict(Words(24).head.state_dict())
    before = bits(model)
    with pytest.raises(FaninError, match=told):
        fanin.initialize(model, 0, torch.zeros(2, 5, dtype=torch.long), **how)
    assert not changed(model, before)


def test_present_rows_want_finite_rows() -> None:
    model = Words(20).grown(24)
    how: dict[str, Any] = {"overrides": {"emb.weight": "present_rows"}}
    with pytest.raises(FaninError, match="the table has others"):
        fanin.initialize(model, 0, rows={"emb.weight": slice(0, 4)}, **how)


def test_a_model_without_memory_has_no_rows_to_keep() -> None:
    with fanin.empty_weights():
        model = nn.Sequential(nn.Embedding(24, 6))
    with pytest.raises(FaninError, match=r"0\.weight of shape \(24, 6\) was built empty, so that"):
        fanin.initialize(model, 0, rows={"0.weight": slice(20, 24)})
    packed = nn.MultiheadAttention(8, 2)
    with pytest.raises(FaninError, match=r"rows of in_proj_weight .* packs several maps"):
        fanin.plan(packed, rows={"in_proj_weight": slice(20, 24)})


def test_tables_of_jax_grow() -> None:
    """Rows are those of the canonical order: the last axis of a kernel."""
    equinox = pytest.importorskip("equinox")
    import jax

    class Port(equinox.Module):  # type: ignore[misc,name-defined]
        emb: Any
        head: Any

        def __call__(self, token: Any) -> Any:
            return self.head(self.emb(token))

    keys = jax.random.split(jax.random.key(0))
    port = Port(equinox.nn.Embedding(24, 6, key=keys[0]), equinox.nn.Linear(6, 24, key=keys[1]))
    rows = {"emb.weight": slice(20, 24), "head.weight": slice(20, 24)}
    made, plan = fanin.initialize_params(port, seed=3, initializer=DRAWN, rows=rows)
    whole, _ = fanin.initialize_params(port, seed=3, initializer=DRAWN)
    for mine, all_, old in (
        (made.emb.weight, whole.emb.weight, port.emb.weight),
        (made.head.weight, whole.head.weight, port.head.weight),
    ):
        assert (mine[20:] == all_[20:]).all()
        assert (mine[:20] == old[:20]).all()
    plan.verify(made)
    plan.seal(made).verify(made)
    assert plan.audit(made).ok
    kernel = {"w": jax.numpy.ones((6, 24))}
    flat, told = fanin.initialize_params(
        lambda params, x: x @ params["w"],
        kernel,
        seed=3,
        inputs=jax.numpy.ones((2, 6)),
        initializer=DRAWN,
        rows={"w": slice(20, 24)},
    )
    assert (flat["w"][:, :20] == 1).all()
    assert (flat["w"][:, 20:] != 1).all()
    assert told["w"].part == (slice(0, 6), slice(20, 24))
