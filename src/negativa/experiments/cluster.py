"""Pictures made by the machines of a Ray cluster."""

from __future__ import annotations

import logging
import math
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Unpack

from negativa.errors import InputError, NegativaError
from negativa.experiments.chunks import Crew, Died, settle
from negativa.experiments.making import Here, Made, make
from negativa.plain.recipe import Recipe

if TYPE_CHECKING:
    from negativa.studio import Loading

MEMORY: Final = 6 * 2**30  # bytes for an actor without a GPU: Stable Diffusion 1 in float32, and what it works on


@dataclass(eq=False)
class Actor:
    """An actor of ours on the cluster, and what it was last asked for; none if it has nothing to do."""

    handle: Any
    answer: Any


class Cluster(Crew[Actor]):
    """Makes pictures on an existing Ray cluster, one actor for each GPU.

    Where there are no GPUs, or `device` is "cpu", there is one for each group of cores, which is one core where memory
    allows; never some of both, so that all pictures come from one kind of device. `address` is "auto" or HOST:PORT;
    `loading` are arguments of `negativa.load`. Negativa must be installed on every machine, and a model's folder be there under
    the same path. A process that is connected to Ray stays with that cluster, and this waits
    as long as others fill it.
    Raises `NegativaError` if Ray is not installed or no cluster answers, `InputError` for a device that it does not have.
    """

    def __init__(self, address: str = "auto", **loading: Unpack[Loading]) -> None:
        self._ray = _connect(address)
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        size, self._threads, self._options = _shares(nodes, loading.get("device"))
        super().__init__(size)
        self._loading = loading

    def _start(self) -> Actor:
        actor = self._ray.remote(_Maker).options(**self._options).remote(self._threads, Path.cwd(), self._loading)
        return Actor(actor, actor.make.remote({}))

    def _give(self, worker: Actor, todo: dict[int, Recipe]) -> None:
        worker.answer = worker.handle.make.remote(todo)

    def _hear(self) -> Iterator[tuple[Actor, Made | Died | None]]:
        asked = {worker.answer: worker for worker in (*self._starting, *self._busy)}
        answers, _ = self._ray.wait(list(asked), timeout=10)
        if not answers and not any(node["Alive"] for node in self._ray.nodes()):
            raise NegativaError("ray: the cluster has no machine left")
        for answer in answers:
            worker = asked[answer]
            try:
                pictures = self._ray.get(answer)
            except self._ray.exceptions.RayError as error:
                lines = str(error).strip().splitlines()  # Ray's own words, or at the end an error of the worker's
                failed = isinstance(error, self._ray.exceptions.RayTaskError) or getattr(error, "actor_init_failed", False)
                yield worker, Died(lines[-1 if failed else 0])
                continue
            for made in pictures:
                yield worker, made
            yield worker, None

    def _end(self, worker: Actor) -> None:
        self._ray.kill(worker.handle)


class _Maker:
    """What an actor is."""

    def __init__(self, threads: int, folder: Path, loading: Loading) -> None:
        with suppress(OSError):
            os.chdir(folder)  # models may be named by a path from there
        settle(threads)
        self._here = Here(**loading)

    def make(self, todo: dict[int, Recipe]) -> list[Made]:
        return list(make(self._here, todo))


def _connect(address: str) -> Any:
    """Ray, connected to the cluster."""
    try:
        import ray
    except ImportError as error:
        raise NegativaError("ray: it is not installed; allowed: pip install 'negativa[ray]'") from error
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address != "auto" and not (host and port.isdecimal()):
        raise InputError(f"ray: {address!r} was given; allowed: auto, or HOST:PORT")
    if ray.is_initialized():
        return ray
    try:
        if address != "auto":  # where nobody answers, Ray itself would try for minutes
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, OverflowError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NegativaError(f"ray: no cluster answers at {address!r} ({reason}); `ray start --head` makes one") from error
    return ray


def _shares(nodes: list[dict[str, float]], device: str | None) -> tuple[int, int, dict[str, float]]:
    """How many actors a cluster of such nodes has room for, the threads of each, and what Ray is to keep free for it."""
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    if device not in (None, "cpu", "cuda") or (device == "cuda" and not gpus):
        raise InputError(f"device: {device!r} was given; allowed on this cluster: {'cpu, cuda' if gpus else 'cpu'}")
    if gpus and device != "cpu":
        return gpus, 1, {"num_gpus": 1, "num_cpus": 0}
    cores = [int(node.get("CPU", 0)) for node in nodes]
    if not any(cores):
        raise NegativaError("ray: the cluster has neither GPUs nor cores for actors")
    memory = sum(node.get("memory", MEMORY) for node in nodes)
    group = min(max(cores), math.ceil(sum(cores) * MEMORY / memory))
    return sum(count // group for count in cores), group, {"num_cpus": group}
