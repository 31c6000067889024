"""Planning and drawing in threads, after a fork and in workers: the values of one alone."""

import hashlib
import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import fanin
from fanin import Stream

SEEDS = range(6)


def mlp(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(8, width), nn.ReLU(), nn.Linear(width, width), nn.Linear(width, 2)
    )


def digest(model: nn.Module) -> str:
    total = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        total.update(name.encode() + tensor.numpy().tobytes())
    return total.hexdigest()


def initialize(seed: int) -> str:
    model = mlp(16 + seed)
    fanin.initialize(model, seed, torch.zeros(1, 8)).verify(model)
    return digest(model)


def build_empty(seed: int) -> str:
    with fanin.empty_weights():
        model = mlp(16 + seed)
    fanin.initialize(model, seed, torch.zeros(1, 8))
    return digest(model)


def at_once(work: Callable[[int], str]) -> list[str]:
    start = threading.Barrier(len(SEEDS))

    def run(seed: int) -> str:
        start.wait()
        return work(seed)

    with ThreadPoolExecutor(len(SEEDS)) as pool:
        return list(pool.map(run, SEEDS))


@pytest.mark.parametrize("work", [initialize, build_empty])
def test_threads_plan_and_draw_models_of_their_own(work: Callable[[int], str]) -> None:
    expected = [initialize(seed) for seed in SEEDS]
    for _ in range(3):
        assert at_once(work) == expected


def test_threads_plan_one_model() -> None:
    model, x = mlp(16), torch.zeros(1, 8)
    expected = str(fanin.plan(model, x))
    assert at_once(lambda seed: str(fanin.plan(model, x))) == [expected] * len(SEEDS)
    assert type(model[0].weight) is nn.Parameter


def test_threads_write_while_others_plan() -> None:
    """Half of them are at the model's first weights, half read a plan of another."""

    def work(seed: int) -> str:
        return initialize(seed) if seed % 2 else str(fanin.plan(mlp(4), torch.zeros(1, 8)))

    assert at_once(work) == [work(seed) for seed in SEEDS]


class Drawn(Dataset[torch.Tensor]):
    """Examples that are drawn where they are asked for."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(Stream(0, f"example.{index}").normal((3, 40), threads=2))


@pytest.fixture(params=["fork", "spawn"])
def context(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """How processes start; they meet in a folder that does not end before the last of them."""
    way: str = request.param
    if way not in multiprocessing.get_all_start_methods():
        pytest.skip("this system starts no processes so")
    place = tmp_path_factory.mktemp("m")
    settings = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    monkeypatch.setitem(settings, "tempdir", str(place))
    return way


# Python 3.12 warns of forks beside other threads, and so does JAX, if another test has loaded it.
beside_threads = pytest.mark.filterwarnings("ignore")


@beside_threads
def test_workers_of_a_data_loader_draw_the_same(context: str) -> None:
    alone = torch.stack([Drawn()[index] for index in range(12)])
    loader = DataLoader(Drawn(), batch_size=3, num_workers=2, multiprocessing_context=context)
    assert torch.equal(torch.cat(list(loader)), alone)


@beside_threads
def test_other_processes_initialize_the_same(context: str) -> None:
    """Also of a fork while threads of this process have drawn."""
    expected = [initialize(seed) for seed in range(2)]
    with multiprocessing.get_context(context).Pool(2) as pool:
        assert pool.map(initialize, range(2)) == expected
