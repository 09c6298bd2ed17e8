"""Comment on a merge request (`comment FILE`), or fetch the plan that was merged (`fetch FOLDER`).

Needs only Python. GITLAB_TOKEN is a project access token with the role Developer and the scope `api`.
"""

import io
import json
import os
import sys
import urllib.error
import urllib.request
import zipfile
from http import HTTPStatus
from pathlib import Path
from typing import Any


def main() -> None:
    """Run the command."""
    match sys.argv[1:]:
        case ["comment", file] if not Path(file).exists():
            sys.exit(f"no comment: the job plan ended before it wrote {file}; its log says why")
        case ["comment", file]:
            comment(Path(file).read_text(encoding="utf-8"))
        case ["fetch", folder]:
            zipfile.ZipFile(io.BytesIO(fetch())).extractall(Path(folder).parent)
        case _:
            sys.exit(__doc__)


def comment(text: str) -> None:
    """Write or update the comment on the merge request. Its first line, which is invisible, identifies it."""
    marker, own = text.partition("\n")[0], found("/user")["id"]
    notes = f"{project()}/merge_requests/{os.environ['CI_MERGE_REQUEST_IID']}/notes"
    for note in found(f"{notes}?sort=asc&order_by=created_at&per_page=100"):
        if note["author"]["id"] == own and note["body"].startswith(marker):
            ask(f"{notes}/{note['id']}", "PUT", {"body": text})
            return
    ask(notes, "POST", {"body": text})


def fetch() -> bytes:
    """Return the artifacts (a ZIP file) of the last plan of the merge request that this commit comes from."""
    commit, branch = os.environ["CI_COMMIT_SHA"], os.environ["CI_DEFAULT_BRANCH"]
    merged = [
        request
        for request in found(f"{project()}/repository/commits/{commit}/merge_requests")
        if request["state"] == "merged" and request["target_branch"] == branch
        # never take a plan that a fork's pipeline created
        if str(request["source_project_id"]) == os.environ["CI_PROJECT_ID"]
    ]
    if not merged:
        sys.exit(f"no merge request of this project was merged as {commit}")
    number = merged[0]["iid"]
    for pipeline in found(f"{project()}/merge_requests/{number}/pipelines"):  # the newest first
        jobs = found(f"{project()}/pipelines/{pipeline['id']}/jobs?per_page=100")
        plans = [job for job in jobs if job["name"] == "plan"]
        if plans and plans[0]["status"] == "success":
            return artifacts_of(plans[0], number)
        if plans:
            sys.exit(f"the last plan of merge request !{number} needs a decision: settle it, run it again")
    sys.exit(f"merge request !{number} has no plan: run its pipeline")


def artifacts_of(plan: dict[str, Any], number: int) -> bytes:
    """Return the artifacts (a ZIP file) of a job, which expire after 30 days."""
    try:
        return ask(f"{project()}/jobs/{plan['id']}/artifacts")
    except urllib.error.HTTPError as problem:
        if problem.code != HTTPStatus.NOT_FOUND:
            raise
        sys.exit(
            f"the plan of merge request !{number} has expired: run its pipeline again, and read the new plan"
        )


def project() -> str:
    """Return the path of this project in GitLab's API."""
    return f"/projects/{os.environ['CI_PROJECT_ID']}"


def found(path: str) -> Any:
    """Return GitLab's answer, parsed from JSON."""
    return json.loads(ask(path))


def ask(path: str, method: str = "GET", body: dict[str, str] | None = None) -> bytes:
    """Return GitLab's answer."""
    request = urllib.request.Request(os.environ["CI_API_V4_URL"] + path, method=method)
    # a redirect gets no token: artifacts may be on another host
    request.add_unredirected_header("PRIVATE-TOKEN", os.environ["GITLAB_TOKEN"])
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as reply:
        answer: bytes = reply.read()
        return answer


if __name__ == "__main__":
    main()
