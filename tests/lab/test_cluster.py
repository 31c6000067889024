import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fanin import FaninError
from fanin.lab import compare, modes
from fanin.lab.report import json_text

SMALL: dict[str, Any] = {"seeds": 2, "train": 40, "test": 30, "epochs": 1, "data": "digits"}


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(FaninError, match=r"ray is missing. Install it: pip install 'fanin\[ray\]'"):
        compare(["torch"], ray="local", **SMALL)


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
    monkeypatch.setattr(modes, "MODELS_IN_A_STACK", 2)
    names = ["he_normal", "zeros", "lsuv"]
    far, here = (
        json.loads(
            json_text(
                compare(
                    names, ray=address, folder=tmp_path / str(address).replace(":", "-"), **SMALL
                )
            )
        )
        for address in (cluster, None)
    )
    assert far.pop("run")["trained"] == here.pop("run")["trained"] == 6
    assert far == here
    again = compare(names, ray=cluster, folder=tmp_path / cluster.replace(":", "-"), **SMALL)
    assert again.run["found_finished"] == 6


def test_an_address_where_nobody_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False))
    with pytest.raises(FaninError, match=r"no Ray cluster answers at '127\.0\.0\.1:1' .*refused"):
        compare(["torch"], ray="127.0.0.1:1", folder=tmp_path, **SMALL)
    assert list(tmp_path.iterdir()) == []
