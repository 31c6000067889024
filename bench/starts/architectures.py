"""The hundred architectures: forty of timm, 25 of transformers, 35 written here."""

from collections.abc import Callable
from functools import partial

from torch import nn

from bench.starts import (
    convolutional,
    data,
    dense,
    fields,
    generative,
    imagenets,
    languages,
    objectives,
    relational,
    sequential,
)
from bench.starts.architecture import Architecture
from bench.starts.data import Data
from bench.starts.objectives import Objective


def of_timm(row: str) -> Architecture:
    return Architecture(
        f"timm/{row}",
        partial(imagenets.build, row),
        partial(data.mnist, 32),
        objectives.CLASSES,
        16 if row in imagenets.BATCH_NORMALIZED else 8,
    )


_LANGUAGE: dict[str, Callable[[], Data]] = {
    "CausalLM": partial(data.next_characters, languages.LENGTH),
    "MaskedLM": partial(data.masked_characters, languages.LENGTH),
    "Seq2SeqLM": partial(data.translated_characters, languages.LENGTH // 2),
    "ImageClassification": partial(data.mnist, 32),
    "AudioClassification": partial(data.mnist, 32),
}


def of_transformers(row: str) -> Architecture:
    return Architecture(
        f"transformers/{row}",
        partial(languages.build, row),
        _LANGUAGE[languages.ROWS[row][0]],
        objectives.CLASSES,
        8,
    )


_mlp = dense.stack
_diabetes, _wine = partial(data.table, "diabetes"), partial(data.table, "wine")
_characters, _images = partial(data.next_characters, 24), partial(data.mnist, 16)
_OTHERS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Data], Objective]] = {
    "mlp/relu-12": (partial(_mlp, nn.ReLU, 64, 64, 12), data.digits, objectives.CLASSES),
    "mlp/tanh-20": (partial(_mlp, nn.Tanh, 64, 64, 20), data.digits, objectives.CLASSES),
    "mlp/gelu-30": (partial(_mlp, nn.GELU, 64, 64, 30), data.digits, objectives.CLASSES),
    "mlp/silu-16": (partial(_mlp, nn.SiLU, 64, 64, 16), data.digits, objectives.CLASSES),
    "mlp/selu-16": (partial(_mlp, nn.SELU, 64, 64, 16), data.digits, objectives.CLASSES),
    "mlp/elu-wide": (partial(_mlp, nn.ELU, 256, 512, 2), _images, objectives.CLASSES),
    "mlp/leaky-wide": (partial(_mlp, nn.LeakyReLU, 256, 256, 4), _images, objectives.CLASSES),
    "mlp/softplus-6": (partial(_mlp, nn.Softplus, 64, 64, 6), data.digits, objectives.CLASSES),
    "table/quantiles": (partial(_mlp, nn.SiLU, 10, 64, 3, 3), _diabetes, objectives.QUANTILE),
    "table/tokens": (partial(dense.ColumnTokens, 13, 24, 3), _wine, objectives.CLASSES),
    "cnn/relu-20": (partial(convolutional.plain, nn.ReLU, 20), _images, objectives.CLASSES),
    "cnn/tanh-12": (partial(convolutional.plain, nn.Tanh, 12), _images, objectives.CLASSES),
    "cnn/vgg": (partial(convolutional.vgg, nn.Identity), _images, objectives.CLASSES),
    "cnn/u-net": (convolutional.UNet, partial(data.noisy_patches, 16), objectives.NUMBERS),
    "cnn/sub-pixel": (convolutional.SubPixel, partial(data.small_patches, 16), objectives.NUMBERS),
    "cnn/discriminator": (convolutional.discriminator, data.forged_digits, objectives.TRUTH),
    "sequence/lstm": (partial(sequential.Recurrent, nn.LSTM), _characters, objectives.CLASSES),
    "sequence/gru": (partial(sequential.Recurrent, nn.GRU), _characters, objectives.CLASSES),
    "sequence/rnn-rows": (partial(sequential.RowByRow, nn.RNN), _images, objectives.CLASSES),
    "sequence/tcn": (sequential.Dilated, _characters, objectives.CLASSES),
    "sequence/state-space": (sequential.StateSpace, _characters, objectives.CLASSES),
    "sequence/convolutions": (
        sequential.CharacterConvolutions,
        partial(data.sections, 48),
        objectives.CLASSES,
    ),
    "generative/autoencoder": (
        generative.convolutional_autoencoder,
        partial(data.same, "mnist"),
        objectives.NUMBERS,
    ),
    "generative/vae": (generative.Variational, partial(data.same, "digits"), objectives.EVIDENCE),
    "generative/flow": (generative.Flow, partial(data.same, "wine"), objectives.FLOW),
    "field/informed": (fields.informed, data.plane, objectives.EQUATION),
    "field/siren": (fields.Sinusoidal, data.pixels, objectives.NUMBERS),
    "field/hypernetwork": (fields.Hypernetwork, data.digits, objectives.CLASSES),
    "relation/siamese": (relational.Siamese, data.pairs, objectives.TRUTH),
    "relation/graph": (relational.GraphConvolutions, data.digits, objectives.CLASSES),
    "relation/messages": (relational.Messages, data.points, objectives.CLASSES),
    "relation/recommender": (relational.Recommender, data.ratings, objectives.NUMBERS),
    "several/experts": (relational.Experts, data.digits, objectives.EXPERTS),
    "several/tasks": (relational.TwoHeads, data.two_tasks, objectives.TASKS),
    "several/actor-critic": (relational.ActorCritic, data.mazes, objectives.ACTOR_CRITIC),
}

_LARGE = {"field/siren": 128, "field/informed": 64, "relation/recommender": 128}
_LARGE |= {"several/actor-critic": 64, "generative/flow": 32}
ALL = sorted(
    [
        *map(of_timm, imagenets.ROWS),
        *map(of_transformers, languages.ROWS),
        *(Architecture(name, *row, _LARGE.get(name, 16)) for name, row in _OTHERS.items()),
    ],
    key=lambda one: (one.half, one.number),
)
"""In the order in which they are run: the first half before the second, by hash within a half."""
