"""Models of torch, sound and unsound, with what each is called with."""

from collections.abc import Callable
from random import Random
from typing import Any

import torch
from torch import nn

import fanin
from bench.faults.arguments import NAMES, Given, Make, fail
from fanin import recipes


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.up, self.down = (
            nn.LayerNorm(width),
            nn.Linear(width, 8),
            nn.Linear(8, width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(self.up(self.norm(x)).relu())


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte, self.block, self.head = nn.Embedding(9, 6), Block(6), nn.Linear(6, 9, bias=False)
        self.head.weight = self.wte.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(self.wte(tokens)))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class Raising(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return fail(x)


class Held(nn.Module):
    """A parameter of any kind, which no layer explains."""

    def __init__(self, weight: torch.Tensor, requires_grad: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad)
        self.register_buffer("frequencies", torch.arange(3.0), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight.sum()


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))


def convolutional() -> nn.Module:
    layers = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(64, 2))


def on_meta() -> nn.Module:
    with torch.device("meta"):
        return mlp()


def built_empty() -> nn.Module:
    with fanin.empty_weights():
        return mlp()


def expanded() -> nn.Module:
    return Held(torch.zeros(1, 4).expand(3, 4))


def frozen() -> nn.Module:
    return mlp().requires_grad_(False)


def _rows(chance: Random) -> torch.Tensor:
    return torch.randn(chance.choice((0, 1, 5)), 4)


def _images(chance: Random) -> torch.Tensor:
    return torch.randn(chance.choice((1, 3)), 3, 4, 4)


def _tokens(chance: Random) -> torch.Tensor:
    return torch.randint(0, 9, (2, 5))


def _sequences(chance: Random) -> torch.Tensor:
    return torch.randn(2, 5, 4)


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[Random], Any]]] = {
    "mlp": (mlp, _rows),
    "convolutional": (convolutional, _images),
    "tied": (Tied, _tokens),
    "recurrent": (Recurrent, _sequences),
    "on meta": (on_meta, _rows),
    "built empty": (built_empty, _rows),
    "half": (lambda: mlp().to(torch.bfloat16), lambda chance: torch.zeros(2, 4).bfloat16()),
    "frozen": (frozen, _rows),
    "raising": (lambda: Raising(4, 2), _rows),
    "expanded": (expanded, _rows),
    "transposed": (lambda: Held(torch.zeros(3, 4).T), _rows),
    "complex": (lambda: Held(torch.zeros(3, 4, dtype=torch.complex64)), _rows),
    "integers": (lambda: Held(torch.zeros(3, 4, dtype=torch.int8), False), _rows),
    "sparse": (lambda: Held(torch.zeros(3, 4).to_sparse()), _rows),
    "of no size": (lambda: Held(torch.zeros(0, 4)), _rows),
    "scalar": (lambda: Held(torch.tensor(1.0)), _rows),
    "without parameters": (nn.ReLU, _rows),
    "lazy": (lambda: nn.LazyLinear(3), _rows),
    "not finite": (lambda: Held(torch.full((3, 4), torch.nan)), _rows),
    "wrapped": (lambda: nn.DataParallel(mlp()), _rows),
    "a class": (lambda: nn.Linear, _rows),  # type: ignore[dict-item]
}
# Half of all calls are about one of these, or most would be refused.
USUAL = ("mlp", "convolutional", "tied", "recurrent", "built empty")


def _model(chance: Random, given: Given) -> Any:
    name = chance.choice((chance.choice(USUAL), chance.choice([*MODELS])))
    given["_kind"] = name
    torch.manual_seed(chance.getrandbits(32))
    return MODELS[name][0]()


def _inputs(chance: Random, given: Given) -> Any:
    torch.manual_seed(chance.getrandbits(32))
    own = MODELS[given.get("_kind", "mlp")][1](chance)
    other = MODELS[chance.choice(USUAL)][1](chance)
    return chance.choice((own, own, own, (own,), {"x": own}, {"input": own}, other, None))


def _targets(chance: Random, given: Given) -> Any:
    return chance.choice((None, torch.tensor([0, 1]), torch.zeros(5, 2), torch.zeros(5).long()))


def _recipe(chance: Random, given: Given) -> Any:
    name = chance.choice(recipes.names())
    return chance.choice(("auto", "auto", name, "autoo", recipes.lora("pissa")))


def plan(chance: Random, given: Given) -> Any:
    """Of the model at hand, where it has one, or of the usual."""
    kind = given.get("_kind", "mlp")
    kind = kind if kind in USUAL and chance.random() < 0.8 else "mlp"
    made = fanin.plan(MODELS[kind][0](), initializer="he_normal")
    return chance.choice((made, made, fanin.Plan("auto", made.rows[:1]), fanin.Plan("auto", ())))


def _rows_of(chance: Random, given: Given) -> Any:
    part = slice(*sorted((chance.randrange(10), chance.randrange(10))))
    return chance.choice((None, {"wte.weight": part}, {"0.weight": part}, plan(chance, given)))


def _shards(chance: Random, given: Given) -> Any:
    part = ((12, 4), (slice(0, 6),)), ((6, 4), (slice(0, 6),)), ((24,), range(24)), ((6,), 3)
    return chance.choice((None, {"0.weight": chance.choice(part)}, {"x": part[0]}))


def _tensor(chance: Random, given: Given) -> Any:
    shape = tuple(chance.choice((0, 1, 3, 4)) for _ in range(chance.randrange(5)))
    kinds = (
        torch.float32,
        torch.float32,
        torch.bfloat16,
        torch.float64,
        torch.int32,
        torch.complex64,
    )
    made = torch.full(shape, 7, dtype=chance.choice(kinds))
    kind = chance.randrange(8)
    if kind == 0 and shape:
        return made.T if made.ndim == 2 else made.flip(0).expand(2, *shape)
    if kind == 1 and made.is_floating_point():
        return nn.Parameter(made)
    return made.to("meta") if kind == 2 else made


VALID: dict[str, Make] = {
    "model": _model,
    "inputs": _inputs,
    "targets": _targets,
    "recipe": _recipe,
    "plan": plan,
    "before": plan,
    "other": plan,
    "rows": _rows_of,
    "shards": _shards,
    "like": lambda chance, given: chance.choice((None, {"2.weight": "0.weight"}, {"x": "y"})),
    "buffers": lambda chance, given: chance.choice((None, {"frequencies": torch.zeros(3)})),
    "device": lambda chance, given: chance.choice((None, "cpu", torch.device("cpu"), "meta", "x")),
    "build": lambda chance, given: chance.choice((None, mlp, Tied, fail)),
    "loss": lambda chance, given: chance.choice((None, nn.functional.mse_loss, fail)),
    "optimizer": lambda chance, given: chance.choice((None, "sgd", "adam", "adamw", "adm")),
    "tensor": _tensor,
    "args": _tensor,
    "generator": lambda chance, given: chance.choice((None, None, torch.Generator())),
    "base": lambda chance, given: chance.choice(({"0.weight": (3, 4)}, {"0.weight": 3})),
    "params": lambda chance, given: chance.choice((dict(mlp().named_parameters()), None)),
    "make": lambda chance, given: chance.choice((lambda width: mlp(), fail)),
    "widths": lambda chance, given: chance.choice(((4, 8), (8, 4), (4,), ())),
    "key": lambda chance, given: chance.choice((*NAMES, "lstm.weight_ih_l0")),
}
