"""Pages to look at and to measure: the recorded workspace, 300 entities, none, changes, a plan, a restore, ill will."""

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from jitsu_backup.archive import digest
from jitsu_backup.model import MASK, Refusal, Snapshot
from jitsu_backup.operations.apply_plan import ActionOutcome, Status
from jitsu_backup.planning import (
    ActionKind,
    Changes,
    Overlay,
    Plan,
    PlanOptions,
    Residue,
    compare,
    make_plan,
)
from jitsu_backup.reports import RestoreReport
from jitsu_backup.reports.html import changes_page, plan_page, restore_page, snapshot_page
from jitsu_backup.sandbox import known_schemas
from tests.promotions import edit, key_named, promotion
from tests.support import PRODUCTION, make_snapshot, recorded_snapshot

CANARY = "CANARY-7f3a"
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "\"><img src=x onerror=alert(3)>",
    "' onmouseover='alert(4)' x='",
    "</style><style>*{display:none}</style>",
    "<!-- -->", "]]>", "{{ 7*7 }}{% raw %}", "&lt;b&gt;&amp;amp;", "javascript:alert(5)",
    "<iframe srcdoc='<script>alert(6)</script>'>", "<base href='https://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>", "<link rel=stylesheet href=https://evil.example/x.css>",
    "</pre></details></main><h1>Owned</h1>", "\u202eevil\u202d\u2066\u2067", "\u200f\u200eעברית مرحبا", "nul\x00bell\x07\x1b[31m",
    "line\nbreak\r\ttab\u2028sep", "x" * 10_000, "ע" * 10_000, "👩‍👩‍👧 🦊", " ",
)  # fmt: skip
_WORDS = (
    "Orders",
    "Billing",
    "Marketing",
    "Support",
    "Search",
    "Checkout",
    "Mobile",
    "Partner",
    "Returns",
    "Loyalty",
)
_PLACES = ("EU", "US", "Asia", "Nordics", "Labs")


@cache
def three_hundred() -> Snapshot:
    """A workspace of 300 entities, as a large firm may have it."""
    dice = random.Random(300)
    names = [f"{word} {place}" for place in _PLACES for word in _WORDS]
    streams = [
        {"id": f"stream-{n}", "name": f"{names[n]} site", "domains": [f"{n}.example"]} for n in range(36)
    ]
    services = [
        {
            "id": f"service-{n}", "name": f"{names[n]} database", "package": f"airbyte/source-{dice.choice(['postgres', 'mysql', 'hubspot'])}",
            "credentials": {"host": f"db{n}", "password": MASK},
        }
        for n in range(18)
    ]  # fmt: skip
    destinations = [
        {
            "id": f"destination-{n}", "name": f"{names[n]} warehouse",
            "destinationType": dice.choice(["postgres", "clickhouse", "bigquery", "webhook"]), "password": MASK, "host": f"wh{n}",
        }
        for n in range(40)
    ]  # fmt: skip
    functions = [
        {"id": f"function-{n}", "name": f"Enrich {names[n % 50].lower()} {n}", "code": _code(n, dice)}
        for n in range(64)
    ]
    links: list[dict[str, Any]] = []
    for n in range(132):
        sync = n % 4 == 3
        used = dice.sample(range(64), dice.choice([0, 1, 1, 2, 3]))
        data: Any = {"mode": "batch", "functions": [{"functionId": f"udf.function-{f}"} for f in used]}
        if sync:
            data = {"schedule": f"{dice.randrange(60)} * * * *", "streams": {"users": {}}}
        origin = f"service-{dice.randrange(17)}" if sync else f"stream-{dice.randrange(34)}"
        to = f"destination-{min(dice.randrange(38), dice.randrange(38))}"
        links.append(
            {
                "id": f"link-{n:03}",
                "type": "sync" if sync else "push",
                "fromId": origin,
                "toId": to,
                "data": data,
            }
        )
    notifications = [{"id": f"ntf-{n}", "name": f"{names[n]} on call", "channel": "slack"} for n in range(10)]
    lists = {
        "stream": streams, "service": services, "destination": destinations, "function": functions, "link": links,
        "notification": notifications,
    }  # fmt: skip
    found = make_snapshot(lists, slug="acme-large")
    assert len(found.entities) == 300
    return found


def _code(number: int, dice: random.Random) -> str:
    lines = [
        f"  event.context.step_{n} = lookup(event, {dice.randrange(1000)})"
        for n in range(dice.randrange(4, 40))
    ]
    return "\n".join(
        [
            "export default async function (event, { fetch, log }) {",
            *lines,
            f"  return event // {number}",
            "}",
        ]
    )


def empty() -> Snapshot:
    """A workspace with nothing in it."""
    return make_snapshot({"stream": [], "destination": []}, slug="acme-empty")


def hostile(texts: Sequence[str] = HOSTILE) -> Snapshot:
    """A workspace whose every text is written with ill will, with secrets where they may stand."""
    lists: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("stream", "destination", "function", "link", "misc")
    }
    for n, text in enumerate(texts):
        secret = {
            "password": CANARY,
            "headers": [f"Authorization: {CANARY}"],
            "url": f"https://u:{CANARY}@x.example",
        }
        lists["stream"].append(
            {
                "id": f"s{n}{text[:200]}",
                "name": text,
                "domains": [text],
                "publicKeys": [{"id": "k", "plaintext": CANARY}],
            }
        )
        lists["destination"].append(
            {"id": f"d{n}", "name": text, "destinationType": text, text[:50]: text, "masked": MASK, **secret}
        )
        lists["function"].append({"id": f"f{n}", "name": text, "code": f"// {text}\nreturn 1", "draft": text})
        data = {
            "functions": [{"functionId": f"udf.f{n}"}, {"functionId": text}], "functionsEnv": {"KEY": CANARY},
            "schedule": text,
        }  # fmt: skip
        kind = "sync" if n % 2 else "push"
        lists["link"].append(
            {"id": f"l{n}", "type": kind, "fromId": f"s{n}{text[:200]}", "toId": f"d{n}", "data": data}
        )
    lists["misc"] = [{"id": "m", "name": texts[0], "value": f"s0=js.{CANARY}"}]
    lists["<b>new type</b>"] = [{"id": "g", "name": texts[2], "token": CANARY}]
    return make_snapshot(
        lists, slug=texts[0], host="https://x.example/\"><script>alert(7)</script>",
        refused=(Refusal(texts[1], texts[2], missing=False),), not_offered=(texts[3],),
    )  # fmt: skip


def altered(snapshot: Snapshot) -> Snapshot:
    """The same workspace later: some changed, some gone, some new."""
    lists: dict[str, list[dict[str, Any]]] = {}
    for entity in snapshot.entities:
        lists.setdefault(entity.key.type, []).append(dict(entity.body))
    for name, bodies in lists.items():
        for n, body in enumerate(bodies):
            if n % 3 == 0 and name == "function":
                body["code"] = (
                    str(body.get("code", "")).replace("return", "// now\n  return", 1) + "\n// later"
                )
            elif n % 5 == 1 and name in ("destination", "service"):
                body |= {"host": "db.new.example", "password": f"{CANARY}-new", "defaultSchema": "events"}
            elif n % 4 == 1 and name == "link" and body.get("type") == "push":
                body["data"] = {"mode": "batch", "functionsEnv": {"TOKEN": CANARY}}
    if len(lists.get("link", ())) > 5:
        lists["link"] = [body for n, body in enumerate(lists["link"]) if n % 6 != 4]
    lists.setdefault("stream", []).append({"id": "stream-new", "name": "Mobile app", "domains": []})
    first = next(iter(lists.get("destination", ())), {"id": "none"})["id"]
    lists.setdefault("link", []).append(
        {"id": "link-new", "type": "push", "fromId": "stream-new", "toId": first, "data": {"mode": "stream"}}
    )
    lists["notification"] = []
    source = snapshot.manifest.source
    made = make_snapshot(lists, slug=source.slug or "", host=source.host)
    return replace(made, taken_at=made.taken_at.replace(hour=21))


def changes(snapshot: Snapshot) -> Changes:
    """What became of a workspace."""
    return compare(snapshot, altered(snapshot), known_schemas())


def planned(snapshot: Snapshot, *, blocked: bool = False) -> tuple[Plan, Snapshot, Snapshot]:
    """A plan that takes a workspace back, or into an empty one without its secrets; what it is made from."""
    if blocked:
        live = make_snapshot(
            {name: [] for name in snapshot.manifest.counts}, slug="acme-production", workspace_id=PRODUCTION
        )
        return make_plan(snapshot, live, PlanOptions()), snapshot, live
    live = altered(snapshot)
    options = PlanOptions(prune=True, allow_missing_secrets=True, check_schemas=False, overlay=Overlay())
    return make_plan(snapshot, live, options), snapshot, live


@cache
def promoted(texts: tuple[str, ...] = ("staging", "production")) -> tuple[Plan, Snapshot, Snapshot]:
    """A clone into a workspace that has changes, deletions and entities of its own, in part against those of the source."""
    made = promotion()
    made.clone()
    snapshot, there, here = made.snapshot(), made.target.state, made.source.state
    one, *_, other = texts

    def ids(type_name: str, name: str) -> tuple[str, str]:
        key = key_named(snapshot, type_name, name)
        return key.id, made.id_in_target(key)

    source, target = ids("function", "Only known users")
    edit(here, source, name=one, code=f"// {one}\n" + here.objects[source].config["code"])
    edit(there, target, name=other, code="\n".join(texts))
    source, target = ids("destination", "BigQuery")
    edit(here, source, project=one, keyFile=f"{CANARY}-1")
    edit(there, target, project={"id": list(texts)}, keyFile=f"{CANARY}-2")
    edit(there, ids("function", "Enrich")[1], code=f"// {other}")
    edit(here, ids("stream", "Web site")[0], name=f"Web site {one}")
    there.objects[ids("destination", "Alerts webhook")[1]].deleted = True
    there.add_object(PRODUCTION, "function", "own-1", {"name": f"{other} only", "code": one})
    prepared = made.prepared(prune=True)
    return prepared.plan, prepared.snapshot, prepared.live


def restored(snapshot: Snapshot) -> str:
    """A report of a restore in which something went wrong."""
    plan, wanted, live = planned(snapshot)
    outcomes = [
        ActionOutcome(action, Status.FAILED, None, "HTTP 500: constraint violated")
        if n == 1
        else ActionOutcome(action, Status.NOT_ATTEMPTED, None, "what it needs failed")
        if n == 2
        else ActionOutcome(action, Status.DONE, action.target_id or "made")
        for n, action in enumerate(plan.writes)
    ]
    left = [Residue(a.key, a.name, "", "is not in the target") for a in plan.writes[1:3]]
    left += [
        Residue(a.key, a.name, "password", "no one has it")
        for a in plan.writes
        if a.kind is ActionKind.UPDATE
    ][-2:]
    way_back = "jitsu-backup restore acme-staging/0a1b2c"
    return restore_page(RestoreReport(plan, outcomes, sorted(left), wanted, live, way_back=way_back))


def pages() -> dict[str, str]:
    """Every sample as a page, by name."""
    recorded = recorded_snapshot()
    return {
        "recorded": snapshot_page(recorded, digest(recorded)),
        "large": snapshot_page(three_hundred(), digest(three_hundred())),
        "empty": snapshot_page(empty(), digest(empty())),
        "diff": changes_page(changes(recorded)),
        "diff-large": changes_page(changes(three_hundred())),
        "plan": plan_page(*planned(recorded)),
        "promotion": plan_page(*promoted()),
        "hostile-promotion": plan_page(*promoted(HOSTILE)),
        "blocked": plan_page(*planned(recorded, blocked=True)),
        "restore": restored(recorded),
        "hostile": snapshot_page(hostile(), "0" * 64),
        "hostile-diff": changes_page(changes(hostile())),
        "hostile-plan": plan_page(*planned(hostile())),
        "hostile-restore": restored(hostile()),
    }


__all__ = [
    "CANARY",
    "HOSTILE",
    "altered",
    "changes",
    "empty",
    "hostile",
    "pages",
    "planned",
    "promoted",
    "restored",
    "three_hundred",
]
