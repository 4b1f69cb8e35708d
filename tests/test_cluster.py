"""A Ray cluster, a real one on this machine: the same pictures as one process, even if an actor is killed on the way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

import negativa
from negativa import InputError, NegativaError
from negativa.experiments.cluster import Cluster
from negativa.experiments.making import Here
from tests.test_workers import load_of_work, told, wait_until

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: pip install 'negativa[ray]'")


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


@pytest.fixture(scope="module")
def head() -> Iterator[tuple[psutil.Process, str]]:
    """`ray start --head` on two cores, and its address; gone when its input is closed, by us or by our end."""
    port, environment = free_port(), os.environ | {"PYTHONPATH": str(Path(negativa.__file__).parents[1])}
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "log"
        command = f"""{Path(sys.executable).parent}/ray start --head --block --port={port} --node-ip-address=127.0.0.1 \\
            --num-cpus=2 --num-gpus=0 --memory={2**34} --object-store-memory=100000000 --include-dashboard=false \\
            --disable-usage-stats --temp-dir={folder} --system-config='{{"health_check_timeout_ms":600000}}' \\
            > {log} 2>&1 & cat; kill $!; wait"""
        process = subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, env=environment, start_new_session=True)
        assert process.stdin is not None
        ready = wait_until(lambda: log.exists() and "Ray runtime started" in log.read_text(), 180)
        assert ready, log.read_text()
        yield psutil.Process(process.pid), f"127.0.0.1:{port}"
        import ray

        ray.shutdown()
        process.stdin.close()
        process.wait(60)


@pytest.fixture(scope="module")
def cluster(head: tuple[psutil.Process, str]) -> Iterator[Cluster]:
    with Cluster(head[1], device="cpu", reproducible=True) as crew:
        yield crew


def actors(head: psutil.Process) -> set[int]:
    """The processes of actors: Ray names them after what they run."""
    found = set()
    for process in head.children(recursive=True):
        with suppress(psutil.Error):
            if " ".join(process.cmdline()).startswith("ray::_Maker"):
                found.add(process.pid)
    return found


@needs_ray
def test_a_cluster_makes_what_one_process_makes(head: tuple[psutil.Process, str], cluster: Cluster, folder: Path) -> None:
    recipes = load_of_work(folder, 2)
    assert told(list(cluster(recipes))) == told(list(Here(device="cpu", reproducible=True)(recipes)))
    assert len(actors(head[0])) == 2


@needs_ray
def test_killed_actors_change_nothing(head: tuple[psutil.Process, str], cluster: Cluster, folder: Path) -> None:
    recipes = load_of_work(folder, 8)
    call = cluster(recipes)
    made = [next(call)]
    victims = actors(head[0])
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    made += call
    assert told(made) == told(list(Here(device="cpu", reproducible=True)(recipes)))
    assert victims and actors(head[0]) and not actors(head[0]) & victims


@needs_ray
def test_ending_early_ends_the_actors(head: tuple[psutil.Process, str], cluster: Cluster, folder: Path) -> None:
    call = cluster(load_of_work(folder, 20))
    next(call)
    call.close()
    assert wait_until(lambda: not actors(head[0]), 30)


@needs_ray
def test_a_device_the_cluster_does_not_have_is_refused(cluster: Cluster) -> None:
    with pytest.raises(InputError, match="device: 'cuda' was given; allowed on this cluster: cpu"):
        Cluster(device="cuda")


@needs_ray
def test_no_cluster_is_said_in_a_sentence() -> None:
    command = [sys.executable, "-c", f"from negativa.experiments.cluster import Cluster; Cluster('127.0.0.1:{free_port()}')"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert "NegativaError: ray: no cluster answers at '127.0.0.1:" in done.stderr.splitlines()[-1]


@needs_ray
def test_auto_is_the_cluster_that_ray_knows_of(head: tuple[psutil.Process, str]) -> None:
    command = [
        sys.executable,
        "-c",
        "from negativa.experiments.cluster import Cluster; Cluster('auto', device='cpu'); print('in')",
    ]
    environment = os.environ | {"RAY_ADDRESS": head[1]}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env=environment)
    assert done.stdout.strip() == "in", done.stderr


@needs_ray
def test_an_address_is_a_host_and_a_port() -> None:
    with pytest.raises(InputError, match="ray: 'here' was given; allowed: auto, or HOST:PORT"):
        Cluster("here")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(NegativaError, match=r"pip install 'negativa\[ray\]'"):
        Cluster()
