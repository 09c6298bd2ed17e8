"""One seed: a job on consoles that faults befall, and what must hold at its end."""

import asyncio
import copy
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from jitsu_backup.archive import decode, encode, parse_name
from jitsu_backup.model import Entity, Snapshot
from jitsu_backup.operations.restore import prepare
from jitsu_backup.planning import Overlay, PlanOptions
from jitsu_backup.sandbox import Sandbox, State, default_state
from jitsu_backup.store.control import MARKER, READING
from tests.fault_seeds.bench import CODES, WRITING_CODES, Bench, Ending, Events, Run
from tests.fault_seeds.faulty import Faulty
from tests.fault_seeds.states import (
    difference,
    quiet,
    trimmed,
    without_environments,
    without_own,
    without_switches,
)
from tests.generate import Generator, no_mask_is_stored
from tests.support import (
    MOMENT,
    OWNER,
    PRODUCTION,
    STAGING,
    comparable,
    console_of,
    read,
    stand_ins,
)


class Seed(Faulty):
    """One seed: a job, its consoles, and what befalls them."""

    def prepare_workspace(self) -> None:
        """Make consoles and folder for the job, from the first workspace that can be brought over whole."""
        dice = self.dice
        self.limited = dice.random() < 0.3
        self.target = self.source = self.sandbox(default_state(generation=self.generation))
        if self.job in self.elsewhere:
            self.target = self.sandbox(default_state(generation=self.generation))
        size = dice.choice([5, 12, 25])
        generator = Generator(self.source.state, dice.randrange(2**32))
        generator.fill(STAGING, size)
        self.generator = generator
        if self.job == "backup all":
            Generator(self.source.state, dice.randrange(2**32)).fill(PRODUCTION, size)

    def sandbox(self, state: State) -> Sandbox:
        return Sandbox(state, clock=self.time.clock, rate_limit=self.limited)

    def go(self) -> Ending:
        ending = Ending(self.number, self.job, "")
        try:
            self.prepare_workspace()
            (self.backup if self.job.startswith("backup") else self.apply)(ending)
        except AssertionError as problem:
            ending.problem = str(problem) or "assertion"
        ending.mix = f"{self.mix}{', limited' if self.limited else ''}"
        ending.befell = self.befell + Counter(name for at in self.events for name in at.happened)
        return ending

    def begin(self) -> None:
        consoles = [self.source] if self.source is self.target else [self.source, self.target]
        self.events = [Events(sandbox, self.time) for sandbox in consoles]
        self.bench.source.app, self.bench.target.app = self.events[0], self.events[-1]
        self.access = [{w: dict(r.access) for w, r in s.state.workspaces.items()} for s in consoles]
        self.users = [dict(s.state.users) for s in consoles]

    def afflicted(self, arguments: list[str], ending: Ending) -> Run:
        """Run with the faults, then let all be well again; check the report."""
        self.mixed(self.events)
        done = self.run(*arguments, faults=True)
        self.heal(self.events, self.access, self.users)
        ending.code = done.code
        says = f"\n--- code {done.code}\n{done.out[-3000:]}\n{done.err[-3000:]}"
        assert done.code in (CODES if self.job.startswith("backup") else WRITING_CODES), (
            f"code {done.code}{says}"
        )
        for bad in ("Traceback", "bug in jitsu-backup", "never retrieved", "Warning:"):
            assert bad not in done.err + done.out, f"{bad}{says}"
        assert len(done.told) <= 5, f"too long a report{says}"
        assert done.code == 0 or done.told or (done.code == 3 and done.out.strip()), f"no report{says}"
        leftovers = [p.name for p in self.folder.rglob(".jitsu-backup-*")]
        assert not leftovers, f"left over: {leftovers}{says}"
        self.says = says
        return done

    # -- backup

    def backup(self, ending: Ending) -> None:
        self.begin()
        at = ["--host", self.bench.urls[0], "--apikey", OWNER]
        what = ["--all"] if self.job == "backup all" else ["acme-staging"]
        policy = ["--prune", "--keep-last", "2"] if self.job == "backup and prune" else []
        command = [*at, "backup", *what, *policy]
        if self.dice.random() < 0.4:
            command.append("--if-changed")
        for _ in range(self.dice.choice([0, 3]) if policy else self.dice.choice([0, 1])):
            first = self.run(*at, "backup", *what, faults=False)
            assert first.code == 0, first.err
            self.generator.edit_link(STAGING)
        before = self.stored()
        workspaces = [STAGING, PRODUCTION] if self.job == "backup all" else [STAGING]
        truths = {w: [self.held(self.source, w)] for w in workspaces}
        self.states = truths[STAGING]
        done = self.afflicted(command, ending)
        after = self.stored()
        if (
            "lowered role" in self.events[0].happened
        ):  # what a reader is shown is true too, and the ledger says so
            for known in truths.values():
                known += [without_environments(state) for state in known]
        self.check_store(before, after, truths, whole=done.code == 0)
        if done.code:
            again = self.run(*command, faults=False)
            if again.code == 3 and "has shrunk" in again.err:  # by what somebody else deleted meanwhile
                again = self.run(*command, "--accept-shrink", faults=False)
            assert again.code == 0, f"a plain run ends with {again.code}: {again.err}{self.says}"
            truths = {w: [self.held(self.source, w)] for w in workspaces}
            self.check_store(after, self.stored(), truths, whole=True)

    def stored(self) -> dict[str, Snapshot]:
        """Every archive that is there; one that cannot be read is a failure."""
        found = {}
        store = self.folder / "jitsu-backups"
        for path in sorted(store.iterdir()) if store.is_dir() else ():
            if path.name == MARKER or READING.fullmatch(path.name):
                continue
            if parse_name(path.name) is None:
                raise AssertionError(f"foreign file in the store: {path.name}")
            found[path.name] = decode(path.read_bytes())
        return found

    def check_store(
        self,
        before: dict[str, Snapshot],
        after: dict[str, Snapshot],
        truths: dict[str, list[Any]],
        *,
        whole: bool,
    ) -> None:
        for workspace, states in truths.items():
            mine = [s for s in after.values() if s.manifest.source.workspace_id == workspace]
            new = [s for name, s in after.items() if name not in before and s in mine]
            gone = [
                n for n, s in before.items() if n not in after and s.manifest.source.workspace_id == workspace
            ]
            complete = [s for s in mine if s.manifest.complete]
            for one in new:
                if one.manifest.complete:
                    told = f"an archive says it is complete, and is not true{difference(comparable(one, {}), states)}"
                    assert comparable(one, {}) in states, f"{told}{self.says}"
            if whole:
                newest = complete[-1] if complete else None  # by name: they tell of more than seconds
                assert newest is not None, f"no complete archive{self.says}"
                told = f"success, but no true archive{difference(comparable(newest, {}), states)}"
                assert comparable(newest, {}) in states, f"{told}{self.says}"
            if gone:
                assert any(s.manifest.complete for s in new) or whole, (
                    f"pruned without a new archive{self.says}"
                )
            if any(
                s.manifest.complete for n, s in before.items() if s.manifest.source.workspace_id == workspace
            ):
                assert complete, f"no complete archive is left{self.says}"

    # -- restore and clone

    def apply(self, ending: Ending) -> None:
        self.begin()
        dice = self.dice
        source_url, target_url = self.bench.urls[0], self.bench.urls[-1 if self.job in self.elsewhere else 0]
        snapshot: Snapshot = asyncio.run(read(console_of(quiet(self.source), source_url), STAGING))
        self.workspace = PRODUCTION if self.job in self.elsewhere else STAGING
        prune, recreate = self.job != "restore elsewhere" or dice.random() < 0.5, self.job == "rollback"
        flags = ["--yes", "--keys-out", "keys.json"]
        flags += (
            ["--prune"] * prune + ["--recreate"] * recreate + ["--no-safety-backup"] * (dice.random() < 0.3)
        )
        if self.job == "clone again":
            flags += [
                "--take",
                "source",
                "--prune-own",
            ]  # as a first clone does: the source is right in everything
        if self.generation.is_newest:
            flags += ["--rebind", "--accept-shrink"]
        if self.job != "rollback":
            flags += ["--overlay", "overlay.json"]
            self.write_overlay(snapshot)
        self.secrets = {i: row.config.get("password") for i, row in self.source.state.objects.items()}
        if self.job.startswith("clone"):
            (self.folder / "jitsu-backup.toml").write_text(
                f'[profiles.one]\nhost = "{source_url}"\nkey = "{OWNER}"\nworkspace = "acme-staging"\n'
                f'[profiles.two]\nhost = "{target_url}"\nkey = "{OWNER}"\nworkspace = "acme-production"\n'
            )
            command = ["clone", "@one", "@two", *flags]
        else:
            (self.folder / "a.json.gz").write_bytes(encode(snapshot))
            where = ["--host", target_url, "--apikey", OWNER]
            command = [*where, "restore", "a.json.gz", "--into", self.workspace, *flags]
        if self.job == "clone again":
            first = self.run(*command, faults=False)
            assert first.code == 0, f"undisturbed, it ends with {first.code}: {first.err}{first.out}"
            for number in range(4):
                self.somebody(Events(self.source, self.time, happened=[""] * (100 + number)))
            snapshot = asyncio.run(read(console_of(quiet(self.source), source_url), STAGING))
            self.write_overlay(snapshot)
        if self.job == "rollback":
            self.generator.mutate(STAGING, dice.choice([0, 5, 15]))
        overlay = Overlay() if self.job == "rollback" else stand_ins(snapshot)
        newest = self.generation.is_newest
        self.options = PlanOptions(
            overlay=overlay, prune=prune, recreate=recreate, rebind=newest, accept_shrink=newest
        )
        self.sources = [snapshot]
        baseline = self.undisturbed(command)
        done = self.afflicted(command, ending)
        truths = self.sources if self.job.startswith("clone") else [snapshot]
        if done.code == 0:
            self.check(*truths)
            return
        if len(truths) > 1:
            self.write_overlay(truths[-1])  # a secret that has come in meanwhile needs a value
        befell = [len(at.happened) for at in self.events]
        again = self.run(*command, faults=False)
        if [len(at.happened) for at in self.events] != befell:  # somebody else has only come now
            again = self.run(*command, faults=False)
        assert again.code == baseline, (
            f"a plain run ends with {again.code}: {again.err}{again.out}{self.says}"
        )
        self.check(truths[-1])

    def write_overlay(self, snapshot: Snapshot) -> None:
        rules: dict[str, dict[str, str]] = {}
        for line in snapshot.manifest.ledger:
            rules.setdefault(f"{line.type}/{line.id}", {})[line.path] = "stand-in"
        (self.folder / "overlay.json").write_text(json.dumps(rules))

    def undisturbed(self, command: list[str]) -> int:
        """How it ends when nothing befalls it, on copies of the consoles."""
        source = self.sandbox(copy.deepcopy(self.source.state))
        target = source if self.source is self.target else self.sandbox(copy.deepcopy(self.target.state))
        with tempfile.TemporaryDirectory() as kept:
            shutil.copytree(self.folder, kept, dirs_exist_ok=True)
            self.bench.source.app, self.bench.target.app = source.app, target.app
            code = self.run(*command, faults=False)
            self.bench.source.app, self.bench.target.app = self.events[0], self.events[-1]
            for path in self.folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            shutil.copytree(kept, self.folder, dirs_exist_ok=True)
        assert code.code in (0, 3), f"undisturbed, it ends with {code.code}: {code.err}{code.out}"
        return code.code

    def check(self, *snapshots: Snapshot) -> None:
        """The target holds what one of the snapshots holds, each once, and nothing is left to do."""
        for number, snapshot in enumerate(snapshots):
            try:
                self.check_one(snapshot)
            except AssertionError:
                if number == len(snapshots) - 1:
                    raise
            else:
                return

    def check_one(self, snapshot: Snapshot) -> None:
        target = quiet(self.target)
        prepared = asyncio.run(
            prepare(
                console_of(target, self.bench.urls[-1]), self.workspace, snapshot, self.options,
                lambda _: None, now=lambda: MOMENT,
            )
        )  # fmt: skip
        plan, live = prepared.plan, prepared.live
        assert not plan.writes, (
            f"success, but there is more to do: {[(a.kind, a.key, a.changes) for a in plan.writes]}{self.says}"
        )
        ids = {key.id: new for key, new in plan.ids.items() if key.type != "link"}
        ours = set(plan.ids.values())

        def foreign(entity: Entity) -> bool:  # made by somebody else meanwhile, and nobody asked to prune
            return not self.options.prune and entity.key.id not in ours

        lost = {loss.path.partition(".")[0]: True for a in plan.actions for loss in a.losses}
        mine = comparable(trimmed(snapshot, lost), ids)
        theirs = comparable(trimmed(live, lost), {}, leave_out=foreign)
        changed = any("somebody else" in at.happened for at in self.events)
        if self.job in ("clone again", "rollback") or (changed and self.job in self.elsewhere):
            in_place = self.job == "rollback"
            mine, theirs = (without_own(state, in_place=in_place) for state in (mine, theirs))
        if self.generation.is_newest:  # what is made stays off, and what somebody enabled stays on
            mine, theirs = without_switches(mine), without_switches(theirs)
            off = [
                self.target.state.links[i].data["disabled"]
                for i in ours - {k.id for k in plan.ids}
                if i.startswith("retl-")
            ]
            assert changed or all(off), f"a reverse sync was made enabled{self.says}"
        if mine != theirs:
            raise AssertionError(f"the target is not as promised: {difference(theirs, [mine])}{self.says}")
        assert no_mask_is_stored(self.target.state), f"a mask is stored{self.says}"
        for key, new in plan.ids.items():
            if self.job == "rollback" and key.type == "destination":
                stored = self.target.state.objects[new].config.get("password")
                assert stored == self.secrets[key.id], f"a hidden password was lost{self.says}"
        self.stored()


def run_seed(number: int, bench: Bench) -> Ending:
    """Run one seed in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return Seed(number, bench, Path(folder)).go()
