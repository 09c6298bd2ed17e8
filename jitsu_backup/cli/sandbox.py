"""`jitsu-backup sandbox`."""

from pathlib import Path

import click
import orjson

from jitsu_backup.cli.common import App, identity_option, pass_app
from jitsu_backup.cli.paths import PATH
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, seed_snapshot, serve
from jitsu_backup.store import read_file


@click.command(
    "sandbox",
    epilog="Examples: jitsu-backup sandbox --port 3000 · jitsu-backup --json sandbox --port 0 --seed before.json.gz",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=3000, show_default=True, help="0 takes a free one."
)
@click.option("--bind", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option("--seed", type=PATH, metavar="ARCHIVE", help="Begin with an archive's workspace.")
@click.option("--example", is_flag=True, help="Fill acme-staging with a workspace of every type.")
@click.option(
    "--console",
    "generation",
    type=click.Choice(["2026", "2024"]),
    default="2026",
    show_default=True,
    help="Which console to be: of July 2026, or of October 2024.",
)
@click.option("--no-rate-limit", is_flag=True, help="Answer any number of requests.")
@identity_option
@pass_app
def command(
    app: App, port: int, bind: str, seed: Path | None, example: bool, generation: str, no_rate_limit: bool
) -> int:
    """Run an embedded Jitsu console that answers as the real one does.

    It begins with two empty workspaces, keeps everything in memory and stops with Ctrl-C.
    """
    state = default_state(old=generation == "2024")
    if example:
        example_workspace(state, next(iter(state.workspaces)))
    if seed is not None:
        seed_snapshot(state, app.open(read_file(seed)))
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
            f"\nTry: JITSU_HOST={url} JITSU_APIKEY={facts['api_keys']['owner']} jitsu-backup check acme-staging"
        )

    serve(sandbox, bind, port, ready)
    return 0
