"""Trials on a Ray cluster: the same trial groups, trained by other machines."""

import importlib
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from fanin.errors import FaninError, one_line
from fanin.lab.training.group import Advance
from fanin.lab.training.lookup import forget
from fanin.lab.training.runner import GroupJob, GroupRunner
from fanin.lab.training.stack import one_thread
from fanin.lab.training.trial import Trial


def run_on(address: str) -> GroupRunner:
    """How to run trial groups on the cluster at an address; "local" starts one on this machine.

    A trial group is one task on one CPU, and on a GPU where it asks for one. Workers need fanin,
    the data and the factories at the same places; those that have the working folder keep states
    there. Raises FaninError where there is no such cluster.
    """
    ray = _ray()

    def run(jobs: Sequence[GroupJob], advance: Advance) -> Iterator[tuple[GroupJob, list[Trial]]]:
        own = not ray.is_initialized()
        _connect(ray, address)
        try:
            task = ray.remote(num_cpus=1, max_retries=2)(_train)
            waiting = {
                task.options(num_gpus=int(job.group.device == "cuda")).remote(job, os.getcwd()): job
                for job in jobs
            }
            while waiting:
                (ready, *_), _ = ray.wait(list(waiting))
                job = waiting.pop(ready)
                trials = _get(ray, ready)
                advance(job.group.steps)
                yield job, trials
        finally:
            if own:
                ray.shutdown()

    return run


def _train(job: GroupJob, folder: str) -> list[Trial]:
    if os.path.isdir(folder):  # where the user's files and factories are, if they are here
        os.chdir(folder)
    else:
        job = replace(job, state=None)
    forget()  # the process may have lived through a change of the data
    with one_thread():
        return job.train()


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError as error:
        raise FaninError("ray is missing. Install it: pip install 'fanin[ray]'") from error


def _connect(ray: Any, address: str) -> None:
    if ray.is_initialized():
        return
    try:
        _reach(address)
        ray.init(
            address=None if address == "local" else address,
            logging_level="ERROR",
            log_to_driver=False,
            include_dashboard=False if address == "local" else None,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise FaninError(
            f"no Ray cluster answers at {address!r} ({one_line(error)}). Start one with ray "
            "start --head, or leave --ray out."
        ) from error


def _reach(address: str) -> None:
    """Raise OSError where nobody listens: Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=10).close()


def _get(ray: Any, ready: Any) -> list[Trial]:
    try:
        trials: list[Trial] = ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, FaninError):
            raise FaninError(str(error.cause)) from error
        raise
    except ray.exceptions.RayError as error:
        raise FaninError(
            f"the Ray cluster lost a trial group ({one_line(error)}). Finished trials are kept: "
            "run the same command again."
        ) from error
    return trials
