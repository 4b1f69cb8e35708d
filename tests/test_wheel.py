"""What ships: the wheel is built, installed into an empty environment, and its command run."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*words: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", out, ROOT, cwd=out)
    (path,) = out.glob("*.whl")
    return path


def test_the_wheel_holds_the_weights_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "negativa/terrarium/weights/unet/diffusion_pytorch_model.safetensors" in names
    assert "negativa/terrarium/weights/reader/model.safetensors" in names
    assert "negativa/py.typed" in names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "examples"))]


def test_its_command_runs_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    tools = tmp_path / "venv" / "bin"
    run(tools / "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    assert "generate" in run(tools / "negativa", "--help", cwd=tmp_path)
    words = ("generate", "portrait of a man", "-n", "mustache", "--seed", "7", "--steps", "4", "--json", "--out", "man.png")
    receipt = json.loads(run(tools / "negativa", *words, cwd=tmp_path))
    assert receipt["recipe"]["model"] == "terrarium" and (tmp_path / "man.png").stat().st_size > 1000
    assert "mustache" in run(tools / "negativa", "read", "man.png", cwd=tmp_path)
