"""`jitsu-backup backup`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from jitsu_backup.archive import decode, digest, encode, format_name
from jitsu_backup.cli.common import App, encrypt_option, pass_app, run_async, utc_now
from jitsu_backup.credentials import read_secrets
from jitsu_backup.errors import BackupError, ConsoleError, IncompleteError, UsageError
from jitsu_backup.events import Reporter
from jitsu_backup.exporter import read_workspace, workspaces
from jitsu_backup.model import Snapshot
from jitsu_backup.reports import snapshot_document
from jitsu_backup.settings import Place
from jitsu_backup.store import write_file


@click.command(
    "backup",
    epilog="Examples: jitsu-backup backup acme-staging · jitsu-backup backup @production --output before.json.gz",
)
@click.argument("places", metavar="[PLACE]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every workspace that the key can read.")
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE, not into the store."
)
@encrypt_option
@click.option(
    "--admin-token",
    metavar="TOKEN",
    help="The operator's service token: also read masked secrets and key hashes. Better in JITSU_ADMIN_TOKEN.",
)
@click.option(
    "--plaintext-secrets", is_flag=True, help="Let the archive hold, in clear, what the token can read."
)
@pass_app
def command(
    app: App,
    places: tuple[str, ...],
    everything: bool,
    output: Path | None,
    admin_token: str | None,
    plaintext_secrets: bool,
) -> int:
    """Read workspaces and write an archive of each.

    Without PLACE, the default workspace. Ends with code 3 when an archive lacks
    something that it should have; the archive is written all the same, marked incomplete.
    """
    if everything and places:
        raise UsageError("give workspaces or --all, not both")
    if output is not None and (everything or len(places) > 1):
        raise UsageError("--output takes one workspace; leave it out to write into the store")
    app = replace(app, options={**app.options, "admin_token": admin_token})
    results: list[dict[str, Any]] = []
    failures: list[BackupError] = []
    with app.progress() as report:
        wanted = (
            [app.settings.place(text) for text in (places or (None,))]
            if not everything
            else run_async(_all(app, report))
        )
        for place in wanted:
            try:
                results.append(_one(app, place, output, report, plaintext=plaintext_secrets))
            except BackupError as failure:
                if len(wanted) == 1:
                    raise
                failures.append(failure)
                app.err.print(f"jitsu-backup: {failure}", markup=False)
    incomplete = [result for result in results if not result["complete"]]
    if app.as_json:
        app.emit({"snapshots": results, "failures": [str(failure) for failure in failures]})
    else:
        for result in results:
            _tell(app, result)
    if failures:
        return failures[0].exit_code
    return IncompleteError.exit_code if incomplete else 0


async def _all(app: App, report: Reporter) -> list[Place]:
    place = app.settings.place(None, workspace_needed=False)
    async with app.console(place, report) as console:
        return [replace(place, workspace=found) for found in await workspaces(console)]


def _one(app: App, place: Place, output: Path | None, report: Reporter, *, plaintext: bool) -> dict[str, Any]:
    if place.admin_token is not None and not (plaintext or app.seals):
        raise UsageError(
            "with the operator's token the archive would hold secrets in clear: encrypt it (--encrypt-to), say"
            " --plaintext-secrets, or leave the token out (JITSU_ADMIN_TOKEN)"
        )
    snapshot = run_async(_read(app, place, report))
    data = encode(snapshot)
    if digest(decode(data)) != digest(snapshot):
        raise ConsoleError("the archive does not read back as it was written; nothing was stored")
    data = app.seal(data)
    name = format_name(snapshot, encrypted=app.seals)
    if output is not None:
        write_file(output, data)
        where = str(output)
    else:
        app.store.write(name, data)
        where = f"{app.store.url.rstrip('/')}/{name}"
    document = snapshot_document(snapshot, digest(snapshot))
    return {
        **document,
        "encrypted": app.seals,
        "id": document["digest"][:12],
        "archive": where,
        "bytes": len(data),
    }


async def _read(app: App, place: Place, report: Reporter) -> Snapshot:
    async with app.console(place, report) as console:
        snapshot = await read_workspace(console, place.workspace or "", now=utc_now, report=report)
    if place.admin_token is None:
        return snapshot
    async with app.console(replace(place, key=place.admin_token), report) as console:
        return replace(snapshot, secrets=await read_secrets(console, snapshot))


def _tell(app: App, result: dict[str, Any]) -> None:
    source = result["source"]
    total = sum(result["counts"].values())
    state = "complete" if result["complete"] else "INCOMPLETE"
    app.line(
        f"{source['slug'] or source['workspace_id']}: {total} entities, {state}, {result['bytes']:,} bytes, id {result['id']}"
    )
    app.line(f"  {result['archive']}")
    for refusal in result["refused"]:
        app.line(f"  not read: {refusal['what']}: {refusal['reason']}")
    if not result["consistent"]:
        app.line("  it kept changing while it was read: run again")
    if result["secrets"]:
        how = "encrypted" if result["encrypted"] else "in clear: keep it as you keep passwords"
        app.line(f"  {result['secrets']} secret(s) and key hashes are in it, {how}")
    if result["ledger"]:
        entities = len({(line["type"], line["id"]) for line in result["ledger"]})
        app.line(
            f"  {len(result['ledger'])} secret(s) of {entities} entities are masked by the console; `show` lists them"
        )
