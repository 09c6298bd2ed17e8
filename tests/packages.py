"""Build the sdist and the wheel, install each in a new environment of each named Python, and run the demo.

`python -m tests.packages python3.11 python3.12 python3.13`
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.packages")
    parser.add_argument("pythons", nargs="*", default=[sys.executable], metavar="PYTHON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "dist"
        tools = environment(Path(folder) / "tools", sys.executable, "build")
        subprocess.run([tools, "-m", "build", "--outdir", built, ROOT], check=True, stdout=subprocess.DEVNULL)
        for number, python in enumerate(given.pythons):
            for package in sorted(built.iterdir()):
                own = environment(Path(folder) / f"{number}-{package.suffix}", python, str(package))
                command = own.with_name("jitsu-backup")
                assert (own.parents[1] / "share/man/man1/jitsu-backup.1").is_file()
                subprocess.run([command, "demo"], check=True, cwd=folder, stdout=subprocess.DEVNULL)
                print(f"{python}: {package.name} installs and runs demo", flush=True)
    return 0


def environment(folder: Path, python: str, *packages: str) -> Path:
    """Create an environment with `packages` in it; return its Python."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    own = folder / "bin" / "python"
    subprocess.run(
        [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], check=True
    )
    return own


if __name__ == "__main__":
    sys.exit(main())
