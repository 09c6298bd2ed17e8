"""Just as much of `gh` as the workflows need: `fake_gh.py FOLDER ARGUMENTS`. It answers from FOLDER, and notes there what was asked."""

import argparse
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import jq

FOLDER = Path(sys.argv[1])
BOT = {"login": "github-actions[bot]"}


def main() -> None:
    """Answer as GitHub would."""
    if os.environ["GH_TOKEN"] != "token-of-the-run":
        sys.exit("gh: HTTP 401")
    note("asked", [*noted("asked"), sys.argv[2:]])
    {"api": api, "run": run}[sys.argv[2]](sys.argv[3:])


def noted(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


def note(name: str, value: Any) -> None:
    (FOLDER / f"{name}.json").write_text(json.dumps(value))


def show(value: Any, program: str) -> None:
    """Print what `--jq` makes of a value; `env` is part of jq, but not of its binding."""
    named = re.sub(r"\benv\.(\w+)", lambda found: json.dumps(os.environ[found[1]]), program)
    for line in jq.compile(named).input_value(value).all():
        print(line if isinstance(line, str) else json.dumps(line))


def api(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(exit_on_error=True)
    parser.add_argument("path")
    parser.add_argument("--method", default="GET")
    parser.add_argument("--jq")
    parser.add_argument("--field")
    parser.add_argument("--paginate", action="store_true")
    parser.add_argument("--silent", action="store_true")
    given = parser.parse_args(arguments)
    path = given.path.removeprefix(f"repos/{os.environ['GITHUB_REPOSITORY']}/")
    if found := re.fullmatch(r"commits/(\w+)/pulls", path):
        return show([one for one in noted("pulls") if one["merge_commit_sha"] == found[1]], given.jq)
    comments = noted("comments")
    if given.method == "GET":
        assert re.fullmatch(r"issues/\d+/comments", path), path
        return show(comments, given.jq)
    name, _, file = given.field.partition("=@")
    body = {name: Path(file).read_text(encoding="utf-8")}
    if given.method == "POST":
        assert re.fullmatch(r"issues/\d+/comments", path), path
        comments.append({"id": len(comments) + 1, "user": BOT, **body})
    else:
        number = int(path.removeprefix("issues/comments/"))
        comments = [{**one, **body} if one["id"] == number else one for one in comments]
    return note("comments", comments)


def run(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(exit_on_error=True)
    parser.add_argument("what", choices=["list", "download"])
    parser.add_argument("number", nargs="?")
    for name in ("repo", "workflow", "event", "commit", "limit", "json", "jq", "name", "dir"):
        parser.add_argument(f"--{name}")
    given = parser.parse_args(arguments)
    assert given.repo == os.environ["GITHUB_REPOSITORY"]
    if given.what == "download":
        shutil.copytree(FOLDER / "artifacts" / given.number / given.name, given.dir)
        return None
    wanted = {"workflow": given.workflow, "event": given.event, "commit": given.commit}
    found = [one for one in noted("runs") if wanted.items() <= one.items()]
    names = given.json.split(",")
    return show([{name: one[name] for name in names} for one in found[: int(given.limit)]], given.jq)


if __name__ == "__main__":
    main()
