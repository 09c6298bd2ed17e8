"""Builds fixtures/recorded-workspace.json from the recordings: `python -m tests.build_fixtures`."""

from pathlib import Path
from typing import Any

import orjson

FIXTURES = Path(__file__).parents[1] / "fixtures"


def recorded_workspace() -> dict[str, Any]:
    """The staging workspace as the real console listed it, before the recording deletes things."""
    recordings = orjson.loads((FIXTURES / "recordings.json").read_bytes())
    bodies = {e["name"]: e["response"]["body"] for e in recordings["exchanges"] if "response" in e}
    state = bodies["sync-state/get"]["state"]
    return {
        "workspace": bodies["discovery/workspace-by-slug"],
        "lists": {
            "stream": [bodies["stream/get-after-put"], bodies["stream/get-after-marker"]],
            "destination": [
                bodies["destination/get-masked"],
                bodies["destination/get-after-unknown-field"],
                bodies["destination/get-provisioned"],
            ],
            "function": bodies["profile-builder/function-listed-too"]["objects"],
            "service": [bodies["service/get-masked"]],
            "custom-image": bodies["custom-image/list"]["objects"],
            "domain": bodies["domain/list"]["objects"],
            "misc": bodies["misc/list"]["objects"],
            "notification": bodies["notification/list"]["objects"],
            "link": bodies["link/list-as-owner"]["links"],
            "profile-builder": bodies["profile-builder/list"]["profileBuilders"],
        },
        "cursors": {"cacmestaging0000000000001--crm-h-pg-Nn07Fc": state},
    }


if __name__ == "__main__":
    text = orjson.dumps(recorded_workspace(), option=orjson.OPT_INDENT_2)
    (FIXTURES / "recorded-workspace.json").write_bytes(text + b"\n")
