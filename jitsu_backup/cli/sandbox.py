"""`jitsu-backup sandbox`."""

from pathlib import Path

import click
import orjson

from jitsu_backup.cli.app import App
from jitsu_backup.sandbox import (
    Generation,
    Sandbox,
    default_state,
    example_workspace,
    seed_snapshot,
    serve,
    unknown_to,
)
from jitsu_backup.store import read_file


def sandbox(
    app: App, port: int, bind: str, seed: Path | None, example: bool, generation: str, no_rate_limit: bool
) -> int:
    """Serve a sandbox until Ctrl-C; return the exit code."""
    state = default_state(generation=Generation(generation))
    if example:
        example_workspace(state, next(iter(state.workspaces)))
    if seed is not None:
        snapshot = app.keys.open(read_file(seed))
        seed_snapshot(state, snapshot)
        left_out = [f"{count} {name}" for name, count in unknown_to(state, snapshot).items()]
        if left_out:
            app.say(f"left out, because a {generation} console does not support it: {', '.join(left_out)}")
    sandbox = Sandbox(state, rate_limit=not no_rate_limit)

    def ready(url: str) -> None:
        facts = sandbox.facts(url)
        if app.as_json:
            click.echo(orjson.dumps(facts).decode())
            return
        click.echo(f"console      {url}")
        click.echo(f"owner key    {facts['api_keys']['owner']}")
        click.echo(f"analyst key  {facts['api_keys']['analyst']}")
        click.echo(f"admin token  {facts['admin_token']}")
        for workspace in facts["workspaces"]:
            click.echo(f"workspace    {workspace['slug']}  {workspace['id']}  {workspace['name']}")
        click.echo(
            f"\nTry:\n  JITSU_HOST={url} JITSU_APIKEY={facts['api_keys']['owner']} jitsu-backup check acme-staging"
        )

    serve(sandbox, bind, port, ready)
    return 0
