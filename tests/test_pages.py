"""Each page of the documents that is a tour runs as written."""

import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
TOURS = (
    "archive-format.md", "clone.md", "drill.md", "git-folder.md", "history-page.md", "promotion-ci.md",
    "promotion-access.md", "history-who.md", "history.md", "overlay.md", "promotion.md", "recovery-json.md",
    "recovery-rules.md", "recovery.md", "restore-one.md", "restore-rules.md", "restore.md",
    "reverse-syncs.md", "saved-plans.md", "three-sides.md", "undo.md",
)  # fmt: skip
REFERENCE = "archive-format.md"
"""It holds the schema of an archive, so it may be longer than other pages."""
LONGEST = 140
"""The lines of two screens, more or less."""


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="the tours use bash and curl")
@pytest.mark.parametrize("name", TOURS)
def test_a_tour_runs_as_written(name: str, tmp_path: Path) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    # the requests of a tour exceed the budget of a minute, and the waits for the next one would be real
    page = page.replace("jitsu-backup sandbox ", "jitsu-backup sandbox --no-rate-limit ")
    page = with_free_ports(page)
    blocks = re.findall(r"(?:<!-- ends with (\d) -->\n)?```sh\n(.*?)```", page, re.DOTALL)
    assert blocks
    script = ["trap 'kill $(jobs -p) 2> /dev/null' EXIT"]
    for number, (code, block) in enumerate(blocks):
        script.append(
            f"set -e\n{block}" if not code else f"set +e\n{block}\ngot=$?; [ $got = {code} ] || exit 99"
        )
        script.append(f"echo '== block {number} done'")
    bin_folder = Path(sys.executable).parent
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JITSU")}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path, env={**clean, "PATH": f"{bin_folder}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count("== block") == len(blocks)
    if name == "clone.md":
        assert "Nothing to write" in done.stdout


@pytest.mark.parametrize("name", [name for name in TOURS if name != REFERENCE])
def test_a_tour_fits_two_screens(name: str) -> None:
    lines = (DOCS / name).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST


def with_free_ports(page: str) -> str:
    """Return a page with a free port in place of each that it names, so that tours that run at once do not meet."""
    port = r"(?<=--port )\d+|(?<=127\.0\.0\.1:)\d+"
    named = sorted({*re.findall(port, page)})
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in named]
        free = {name: str(one.getsockname()[1]) for name, one in zip(named, sockets, strict=True)}
    return re.sub(port, lambda found: free[found[0]], page)
