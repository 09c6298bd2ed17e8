"""Run tests in a new environment with the oldest or newest run-time dependencies that pyproject.toml allows.

`python -m tests.versions --oldest` runs what meets the dependencies; paths of tests may follow, and `--python` names another interpreter.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TESTS = (
    "tests/archive", "tests/api", "tests/settings", "tests/sandbox", "tests/reports/test_html.py", "tests/store/test_contract.py",
    "tests/test_main_job.py", "tests/test_library.py", "tests/unattended", "tests/test_completion.py",
)  # fmt: skip
TOOLS = ("flask-cors", "hypothesis", "moto", "pytest", "pytest-xdist", "respx")
_BOUND = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?>=([0-9.]+)")


def project() -> Any:
    """Return the project table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def name_of(requirement: str) -> str:
    """Return the normalised name of the package in a requirement."""
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")


def oldest(dependencies: Iterable[str]) -> list[str]:
    """Return requirements of the oldest allowed versions, for pip. Raise ValueError for one without a bound."""
    found = []
    for text in dependencies:
        match = _BOUND.fullmatch(text.partition(";")[0].strip())
        if match is None:
            raise ValueError(f"{text} has no lower bound")
        found.append(f"{match[1]}=={match[2]}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.versions")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--oldest", action="store_true")
    which.add_argument("--newest", action="store_true")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("tests", nargs="*", default=TESTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        subprocess.run([given.python, "-m", "venv", environment], check=True)
        python = environment / "bin" / "python"
        pip = (python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
        constraints = Path(folder) / "constraints.txt"
        wanted = oldest(project()["dependencies"]) if given.oldest else []
        constraints.write_text("\n".join(wanted))
        tools = [text for text in project()["optional-dependencies"]["test"] if name_of(text) in TOOLS]
        subprocess.run([*pip, "--constraint", constraints, ROOT, *tools], check=True)
        names = {name_of(text) for text in project()["dependencies"]}
        listed = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True, check=True)
        print(
            *(line for line in listed.stdout.splitlines() if line.partition("==")[0].lower() in names),
            sep="\n",
        )
        commands = (
            ["-m", "jitsu_backup", "demo"],
            ["-m", "pytest", "-q", "-p", "no:cacheprovider", *given.tests],
        )
        for command in commands:
            done = subprocess.run(
                [python, *command],
                cwd=ROOT,
                check=False,
                stdout=None if "pytest" in command else subprocess.DEVNULL,
            )
            if done.returncode:
                return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
