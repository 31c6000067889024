import json
import os
import pickle
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fanin import FaninError
from fanin.lab import Comparison, compare
from fanin.lab.report.report import json_text
from fanin.lab.training import stacking
from fanin.lab.training.cluster import run_on
from fanin.lab.training.runner import GroupJob
from fanin.lab.training.trial import Trial

SMALL: dict[str, Any] = {"seeds": 2, "train": 40, "test": 30, "epochs": 1, "data": "digits"}


class RayError(Exception):
    """Any failure of the cluster."""


class RayTaskError(RayError):
    """A task raised `cause`."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(frozen=True)
class Task:
    """A function that runs elsewhere, and what it asks for."""

    ray: "StandIn"
    function: Callable[..., Any]
    wants: dict[str, Any]

    def options(self, **wants: Any) -> "Task":
        return Task(self.ray, self.function, self.wants | wants)

    def remote(self, *arguments: Any) -> int:
        self.ray.submitted.append(self)
        self.ray.pickled.append(pickle.dumps(arguments))
        return len(self.ray.submitted) - 1


@dataclass
class StandIn:
    """What the lab uses of Ray, in this process: tasks are pickled, the last one is ready first.

    `fails` is what the cluster or its tasks raise.
    """

    connected: dict[str, Any] | None = None
    fails: Exception | None = None
    shutdowns: int = 0
    submitted: list[Task] = field(default_factory=list)
    pickled: list[bytes] = field(default_factory=list)
    exceptions: Any = field(
        default_factory=lambda: SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
    )

    def is_initialized(self) -> bool:
        return self.connected is not None

    def init(self, **options: Any) -> None:
        if isinstance(self.fails, RuntimeError):
            raise self.fails
        self.connected = options

    def shutdown(self) -> None:
        self.connected = None
        self.shutdowns += 1

    def remote(self, **wants: Any) -> Callable[[Callable[..., Any]], Task]:
        return lambda function: Task(self, function, wants)

    def wait(self, tasks: Sequence[int]) -> tuple[list[int], list[int]]:
        return [tasks[-1]], list(tasks[:-1])

    def get(self, task: int) -> Any:
        if isinstance(self.fails, RayError):
            raise self.fails
        function, arguments = self.submitted[task].function, pickle.loads(self.pickled[task])
        try:
            return pickle.loads(pickle.dumps(function(*arguments)))
        except Exception as error:
            raise RayTaskError(error) from error


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(FaninError, match=r"ray is missing. Install it: pip install 'fanin\[ray\]'"):
        compare(["torch"], ray="local", **SMALL)


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StandIn:
    """A stand-in for Ray, and a folder of its own to work in."""
    stand_in = StandIn()
    monkeypatch.setitem(sys.modules, "ray", stand_in)  # type: ignore[arg-type]
    monkeypatch.setattr(stacking, "MODELS_IN_A_STACK", 2)
    monkeypatch.chdir(tmp_path)
    return stand_in


def results(comparison: Comparison) -> dict[str, Any]:
    """All of a comparison but times."""
    content: dict[str, Any] = json.loads(json_text(comparison))
    del content["run"]
    return content


def test_batches_that_come_back_in_any_order_give_what_one_process_gives(ray: StandIn) -> None:
    names = ["he_normal", "zeros"]
    far = compare(names, ray="local", folder=Path("far"), **SMALL)
    assert results(far) == results(compare(names, **SMALL))
    assert len(ray.submitted) == 2
    assert {str(task.wants) for task in ray.submitted} == {
        "{'num_cpus': 1, 'max_retries': 2, 'num_gpus': 0}"
    }
    assert ray.shutdowns == 1
    assert compare(names, ray="local", folder=Path("far"), **SMALL).run["found_finished"] == 4
    assert len(ray.submitted) == 2


def test_a_cluster_of_ones_own_is_started_and_another_is_reached(ray: StandIn) -> None:
    asked: list[dict[str, Any]] = []
    ray.init = lambda **options: asked.append(options)  # type: ignore[method-assign]
    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        for where in ("local", address, "ray://127.0.0.1:1"):  # Ray's own client connects itself
            list(run_on(where)([], lambda steps: None))
    assert asked == [
        {"address": None, "include_dashboard": False, **quiet},
        {"address": address, "include_dashboard": None, **quiet},
        {"address": "ray://127.0.0.1:1", "include_dashboard": None, **quiet},
    ]


def test_a_session_of_the_user_stays_open(ray: StandIn) -> None:
    ray.init(address="theirs")
    compare(["zeros"], ray="local", **SMALL)
    assert ray.connected == {"address": "theirs"}
    assert ray.shutdowns == 0


def test_a_worker_without_the_folder_keeps_no_state(
    ray: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.setattr(os, "getcwd", lambda: str(tmp_path / "gone" / "elsewhere"))
    states: list[Path | None] = []

    def train(job: GroupJob) -> list[Trial]:
        states.append(job.state)
        raise FaninError("that is all")

    monkeypatch.setattr(GroupJob, "train", train)
    with pytest.raises(FaninError, match=r"^that is all$"):
        compare(["zeros"], ray="local", folder=Path("far"), **SMALL)
    assert states == [None]


def test_what_fails_far_away_is_told(ray: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(fails: Exception) -> str:
        ray.fails = fails
        with pytest.raises(FaninError) as caught:
            compare(["zeros"], ray="local", **SMALL)
        return str(caught.value)

    assert told(RayError("node died\nlong ago")) == (
        "the Ray cluster lost a trial group (node died). Finished trials are kept: run the same "
        "command again."
    )
    assert told(RayTaskError(FaninError("no such file: x.npz"))) == "no such file: x.npz"
    assert told(RuntimeError("version mismatch")).startswith(
        "no Ray cluster answers at 'local' (version mismatch). Start one with ray start --head"
    )
    ray.fails = RayTaskError(ZeroDivisionError("a defect"))
    with pytest.raises(RayTaskError, match="a defect"):
        compare(["zeros"], ray="local", **SMALL)
    assert not ray.is_initialized()


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of a cluster of two workers on this machine."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.add_node(num_cpus=1)
    yield made.address
    made.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_two_workers_give_what_one_process_gives(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacking, "MODELS_IN_A_STACK", 2)
    names = ["he_normal", "zeros", "lsuv"]
    far = compare(names, ray=cluster, folder=tmp_path, **SMALL)
    assert far.run["trained"] == 6
    assert results(far) == results(compare(names, **SMALL))
    again = compare(names, ray=cluster, folder=tmp_path, **SMALL)
    assert again.run["found_finished"] == 6


def test_an_address_where_nobody_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False))
    with pytest.raises(FaninError, match=r"no Ray cluster answers at '127\.0\.0\.1:1' .*refused"):
        compare(["torch"], ray="127.0.0.1:1", folder=tmp_path, **SMALL)
    assert list(tmp_path.iterdir()) == []
