"""A new head on a pretrained transformer: the library's default, zeros, or `only=` on real inputs.

    python -m bench.training.heads [--out FILE]

A transformer of two layers is pretrained here to foretell the next character of Python's help on
its language. Then a head for the ten digits, whose 64 pixels are spelled as characters, reads its
last position, and all weights train, with AdamW. Six seeds; a seed fixes the rows and the draw of
the head, so that heads are paired. The figure is the cross-entropy of 512 images that are not
trained on, after 50 and 200 steps. The body is kept beside FILE and finished runs in it (JSON
lines); the same command goes on, and ends with the table of docs/fine_tuning.md.
"""

import argparse
import copy
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_model, save_model
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import fanin
from bench.starts.data import VOCABULARY, text
from fanin._progress import progress
from fanin._replacing import replacing
from fanin.lab.statistics.statistics import difference

WIDTH, HEADS, LAYERS, LENGTH = 64, 4, 2, 64
PRETRAINING, PRETRAINING_BATCH, PRETRAINING_RATE = 1000, 16, 2e-3
RATE, SEEDS, CHECKPOINTS, BATCH, CLASSES = 1e-3, range(6), (50, 200), 8, 10
HELD_OUT = 512


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.mix = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(self.norm_1(x)).unflatten(-1, (3, HEADS, WIDTH // HEADS))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.mix(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm_2(x))))


class Transformer(nn.Module):
    """What every position knows of the characters up to it, (N, LENGTH, WIDTH)."""

    def __init__(self) -> None:
        super().__init__()
        self.characters, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks, self.norm = (
            nn.Sequential(*(Block() for _ in range(LAYERS))),
            nn.LayerNorm(WIDTH),
        )

    def forward(self, x: Tensor) -> Tensor:
        places = self.places(torch.arange(x.shape[1]))
        return self.norm(self.blocks(self.characters(x) + places))


class Language(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = Transformer(), nn.Linear(WIDTH, VOCABULARY)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class Classifier(nn.Module):
    def __init__(self, body: Transformer) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)[:, -1])


def load_body(path: Path) -> Transformer:
    """The body of the language model: of the file, or pretrained and written there."""
    body = Transformer()
    if path.exists():
        load_model(body, path)
        return body
    body = pretrain()
    with replacing([path]) as (beside,):
        save_model(body, str(beside))
    return body


def pretrain() -> Transformer:
    """The body of a language model, and what that came to on standard output."""
    seen = text()[: len(text()) * 4 // 5]
    model, chance = Language(), torch.Generator().manual_seed(0)
    fanin.initialize(model, 0, seen[:LENGTH][None])
    optimizer = torch.optim.AdamW(model.parameters(), PRETRAINING_RATE)
    losses = []
    with progress("pretraining", PRETRAINING) as advance:
        for _ in range(PRETRAINING):
            places = torch.randint(len(seen) - LENGTH - 1, (PRETRAINING_BATCH, 1), generator=chance)
            cut = seen[places + torch.arange(LENGTH + 1)]
            loss = F.cross_entropy(model(cut[:, :-1]).flatten(0, 1), cut[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            advance(1)
    print(
        f"pretrained: {sum(losses[-50:]) / 50:.3f} nats a character, {losses[0]:.3f} at the start"
    )
    return model.body


@cache
def digits() -> tuple[Tensor, Tensor]:
    """1,797 images of 64 pixels, each of 17 levels one of the 17 most frequent characters."""
    loaded = load_digits()
    return torch.from_numpy(loaded.data).long() + 2, torch.from_numpy(loaded.target).long()


def default(model: Classifier, seed: int, batch: Tensor) -> None:
    torch.manual_seed(seed)
    model.head.reset_parameters()


def zero(model: Classifier, seed: int, batch: Tensor) -> None:
    nn.init.zeros_(model.head.weight)
    nn.init.zeros_(model.head.bias)


def only(model: Classifier, seed: int, batch: Tensor) -> None:
    fanin.initialize(model, seed, batch, only="head.*")


DEFAULT = "torch's default"
STARTS: dict[str, Callable[[Classifier, int, Tensor], None]] = {
    DEFAULT: default,
    "zero": zero,
    "`only=`, measured": only,
}


def train(body: Transformer, start: str, seed: int) -> list[float]:
    """The loss of what is held out, before training and at every checkpoint."""
    inputs, targets = digits()
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
    held, rows = order[:HELD_OUT], order[HELD_OUT:]
    model, chance = Classifier(copy.deepcopy(body)), torch.Generator().manual_seed(seed)
    STARTS[start](model, seed, inputs[rows[:256]])
    optimizer = torch.optim.AdamW(model.parameters(), RATE)

    def measure() -> float:
        with torch.no_grad():
            return F.cross_entropy(model(inputs[held]), targets[held]).item()

    losses = [measure()]
    for step in range(1, max(CHECKPOINTS) + 1):
        batch = rows[torch.randint(len(rows), (BATCH,), generator=chance)]
        loss = F.cross_entropy(model(inputs[batch]), targets[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in CHECKPOINTS:
            losses.append(measure())
    return losses


Key = tuple[str, int]  # head, seed


def read(path: Path) -> dict[Key, list[float]]:
    """The finished runs; a last line that does not end was cut off by a kill, and is dropped."""
    if not path.exists():
        return {}
    whole = path.read_text().rpartition("\n")[0]
    path.write_text(f"{whole}\n" if whole else "")
    runs = map(json.loads, whole.splitlines())
    return {(one["start"], one["seed"]): one["losses"] for one in runs}


def report(runs: dict[Key, list[float]]) -> Iterator[str]:
    """Mean losses over the seeds, and by how much they are above those of the default head."""
    yield "| head | before | 50 steps | 200 steps | beside the default, 50 | 200 |"
    yield "|---|---|---|---|---|---|"
    usual = [*zip(*(runs[DEFAULT, seed] for seed in SEEDS), strict=True)]
    for start in STARTS:
        columns = [*zip(*(runs[start, seed] for seed in SEEDS), strict=True)]
        cells = [f"{sum(column) / len(column):.3f}" for column in columns]
        for mine, other in zip(columns[1:], usual[1:], strict=True):
            cells.append("" if start == DEFAULT else tell_gap(mine, other))
        yield f"| {' | '.join([start, *cells])} |"


def tell_gap(mine: Sequence[float], usual: Sequence[float]) -> str:
    """The mean difference with its 95 % bounds."""
    gap = difference(("mine", mine), ("default", usual), family=1).interval
    return f"{gap.mean:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".jsonl"))
    out: Path = parser.parse_args().out
    torch.set_num_threads(1)
    runs, asked = read(out), [*itertools.product(STARTS, SEEDS)]
    missing = [key for key in asked if key not in runs]
    body = load_body(out.with_suffix(".safetensors"))
    with progress("heads", len(asked)) as advance:
        advance(len(asked) - len(missing))
        for key in missing:
            runs[key] = [round(loss, 4) for loss in train(body, *key)]
            one = {"start": key[0], "seed": key[1], "losses": runs[key]}
            with out.open("a") as file:
                file.write(json.dumps(one) + "\n")
            advance(1)
    print(*report(runs), sep="\n")


if __name__ == "__main__":
    main()
