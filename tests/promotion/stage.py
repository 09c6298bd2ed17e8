"""A console, a store and a repository as `docs/promotion.md` has them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage

from jitsu_backup.sandbox import Sandbox, State, running
from tests.promotion.files import text
from tests.promotion.runner import git
from tests.promotions import edit
from tests.support import ANALYST, OWNER, PRODUCTION, cli, example_sandbox

# the secrets of the other entities of the example workspace, and what two workspaces of one console cannot share
MORE_OF_PRODUCTION = """
["destination/ClickHouse"]
password = "of-production"
["destination/BigQuery"]
keyFile = "{}"
["service/CRM".credentials]
password = "of-production"
tunnel_method.ssh_key = "of-production"
["stream/Web site"]
domains = ["data.acme-production.example"]
["domain/*"]
name = "*.track.acme-production.example"
"""
FIRST = "export default async function(event) {\n  event.first = true\n  return event\n}\n"
READING = {"STAGING_KEY": ANALYST, "PRODUCTION_KEY": ANALYST}
HOT_FIX = "export default async function(event) {\n  return event // hot fix\n}\n"


@dataclass
class Stage:
    """The scene; `secrets` are what a platform keeps for its jobs."""

    folder: Path
    sandbox: Sandbox
    secrets: dict[str, str]
    identity: Path

    @property
    def state(self) -> State:
        return self.sandbox.state

    @property
    def git(self) -> Path:
        return self.folder / "repository"

    def cloned(self) -> "Stage":
        """Make production what staging is, by hand, as the first time."""
        done = cli(
            *("clone", "@staging", "@production", "--yes", "--new-store", "--keys-out", "../keys.json"),
            env={**self.secrets, "JITSU_BACKUP_CONFIG": "jitsu-backup.toml"}, cwd=self.git,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return self

    def in_production(self, type_name: str, name: str) -> str:
        """Return the id of what is called so in production."""
        (found,) = [
            key
            for key, row in self.state.objects.items()
            if (row.workspace_id, row.type) == (PRODUCTION, type_name) and row.config.get("name") == name
            if not row.deleted
        ]
        return found

    def staging_changes(self, code: str = FIRST) -> None:
        edit(self.state, "enrich-0001", code=code)

    def production_changes(self, type_name: str = "function", name: str = "Enrich", **fields: Any) -> None:
        edit(self.state, self.in_production(type_name, name), **(fields or {"code": HOT_FIX}))

    def code(self) -> str:
        return str(self.state.objects[self.in_production("function", "Enrich")].config["code"])

    def unpacked(self, *flags: str) -> None:
        """Have staging as a folder in the repository."""
        done = cli(
            *("backup", "@staging", "--unpack", "workspace", *flags),
            env={**self.secrets, "JITSU_BACKUP_CONFIG": "jitsu-backup.toml"}, cwd=self.git,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        git(self.git, "add", "-A")
        git(self.git, "commit", "-q", "-m", "Staging")

    def propose(self, branch: str, flags: str = "--prune\n", code: str | None = None) -> str:
        """Commit flags, and where it is given the code of a function, on a branch; return the commit."""
        git(self.git, "checkout", "-q", "-B", branch, "main")
        (self.git / "promotion.flags").write_text(f"# {branch}\n{flags}")
        if code is not None:
            (path,) = (self.git / "workspace/function").glob("enrich-*.js")
            path.write_text(code)
        git(self.git, "commit", "-q", "-a", "-m", branch)
        return git(self.git, "rev-parse", "HEAD")

    def merge(self, branch: str) -> str:
        """Merge a branch into main; return the commit of the merge."""
        git(self.git, "checkout", "-q", "main")
        git(self.git, "merge", "-q", "--no-ff", "-m", f"Merge {branch}", branch)
        return git(self.git, "rev-parse", "HEAD")


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Set the scene: a console, and the repository with the files that the documentation shows."""
    sandbox = example_sandbox()
    for link in sandbox.state.links.values():
        link.data.pop("functionsEnv", None)  # where there is any, an analyst's plan is no owner's
    identity = pyrage.x25519.Identity.generate()
    (folder / "identity.txt").write_text(f"{identity}\n")
    repository = folder / "repository"
    repository.mkdir()
    with running(sandbox) as url:
        stands_for = {
            "https://jitsu.example.com": url,
            "s3://acme-backups/jitsu": str(folder / "store"),
            "age1-your-own-public-key": str(identity.to_public()),
        }
        for name in ("jitsu-backup.toml", "production.toml", "promotion.flags", "gitlab_review.py"):
            content = text(name)
            for ours, here in stands_for.items():
                content = content.replace(ours, here)
            (repository / name).write_text(content)
        with (repository / "production.toml").open("a") as overlay:
            overlay.write(MORE_OF_PRODUCTION)
        git(repository, "init", "-q")
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", "Promotion")
        secrets = {"STAGING_KEY": OWNER, "PRODUCTION_KEY": OWNER, "PG_PASSWORD": "of-production"}
        made = {
            **secrets,
            "AGE_IDENTITY": str(identity),
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "key",
        }
        yield Stage(folder, sandbox, made, folder / "identity.txt")
