"""Build the sdist and the wheel, install each in a new environment of each named Python, and run the demo.

Also build the wheel as the image does, and install a checkout by `pipx install .` and `uv tool install .`.

`python -m tests.packages python3.11 python3.12 python3.13`
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

from tests.schedule.files import copied

ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.packages")
    parser.add_argument("pythons", nargs="*", default=[sys.executable], metavar="PYTHON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = folder / "dist"
        tools = environment(folder / "tools", sys.executable, "build", "pipx", "uv")
        subprocess.run([tools, "-m", "build", "--outdir", built, ROOT], check=True, stdout=subprocess.DEVNULL)
        build_as_the_image_does(folder, tools, built)
        for number, python in enumerate(given.pythons):
            for package in sorted(built.iterdir()):
                own = environment(folder / f"{number}-{package.suffix}", python, str(package))
                assert (own.parents[1] / "share/man/man1/jitsu-backup.1").is_file()
                run_demo(own.with_name("jitsu-backup"))
                print(f"{python}: {package.name} installs and runs demo", flush=True)
            install_a_checkout(folder / f"{number}-installed", tools, python)
    return 0


def environment(folder: Path, python: str, *packages: str) -> Path:
    """Create an environment with `packages` in it; return its Python."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    own = folder / "bin" / "python"
    subprocess.run(
        [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], check=True
    )
    return own


def run_demo(command: Path) -> None:
    subprocess.run([command, "demo"], check=True, cwd=command.parent, stdout=subprocess.DEVNULL)


def build_as_the_image_does(folder: Path, python: Path, built: Path) -> None:
    """Build a wheel from what the Dockerfile copies; it must hold what the wheel in `built` holds."""
    source, wheels = folder / "source", folder / "wheel"
    for path, target in copied().items():
        (source / target).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / path).is_dir() else shutil.copy)(ROOT / path, source / target)
    subprocess.run(
        [python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, source], check=True
    )
    (ours,), (theirs,) = wheels.iterdir(), built.glob("*.whl")
    assert contents(ours) == contents(theirs)
    print("the image builds the same wheel", flush=True)


def contents(wheel: Path) -> dict[str, bytes]:
    with ZipFile(wheel) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def install_a_checkout(folder: Path, tools: Path, python: str) -> None:
    """Install the checkout by pipx and by uv, each with folders of its own, and run what they installed."""
    installers = {
        "pipx install .": [tools, "-m", "pipx", "install", "--quiet", "--python", python, "."],
        "uv tool install .": [tools.with_name("uv"), "tool", "install", "--quiet", "--python", python, "."],
    }
    for name, command in installers.items():
        home = folder / name.split()[0]
        places = {
            "PIPX_HOME": home, "PIPX_BIN_DIR": home / "bin", "PIPX_MAN_DIR": home / "man",
            "UV_TOOL_DIR": home / "tools", "UV_TOOL_BIN_DIR": home / "bin", "UV_CACHE_DIR": home / "cache",
        }  # fmt: skip
        own = {**os.environ, **{variable: str(place) for variable, place in places.items()}}
        subprocess.run(command, check=True, cwd=ROOT, env=own)
        run_demo(home / "bin" / "jitsu-backup")
        print(f"{python}: {name} installs and runs demo", flush=True)
    assert (folder / "pipx" / "man" / "man1" / "jitsu-backup.1").is_file(), "pipx offers the man page"


if __name__ == "__main__":
    sys.exit(main())
