"""A store that vanished is no success: whoever expects one hears of it, and only --new-store begins another."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from obstore.store import S3Store

from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from jitsu_backup.store.control import MARKER
from tests.advice import folded
from tests.s3_server import BUCKET, S3Server, s3_server
from tests.support import OWNER, STAGING, cli

OTHER_BUCKET = "others"


class Site:
    """A console, a store that was begun in it, and the command line."""

    def __init__(self, host: str, folder: Path, store: str, env: dict[str, str]) -> None:
        self.folder, self.store = folder, store
        self.env = {"JITSU_HOST": host, "JITSU_APIKEY": OWNER, **env}

    def run(self, *arguments: str, store: str | None = None) -> Any:
        named = () if store is None else ("--store", store)
        return cli(*named, *arguments, env=self.env, cwd=self.folder)

    def backup(self, *arguments: str, store: str | None = None) -> Any:
        return self.run("backup", "acme-staging", *arguments, store=store or self.store)


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    state = default_state()
    example_workspace(state, STAGING)
    with running(Sandbox(state, rate_limit=False)) as url:
        yield url


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        server.ask("PUT", OTHER_BUCKET)
        yield server


@pytest.fixture(params=["folder", "s3"])
def site(request: pytest.FixtureRequest, host: str, tmp_path: Path) -> Site:
    if request.param == "folder":
        made = Site(host, tmp_path, str(tmp_path / "mnt" / "store"), {})
    else:
        server: S3Server = request.getfixturevalue("s3")
        server.befall = lambda _number, _method: None
        made = Site(host, tmp_path, f"s3://{BUCKET}/{tmp_path.name}", server.environment)
    assert made.backup("--new-store", "--metrics", "m").returncode == 0
    return made


def elsewhere(site: Site) -> list[str]:
    """Where the store is not: a folder that is missing or empty, another prefix, another bucket."""
    if site.store.startswith("s3://"):
        return [f"{site.store}-mistyped", f"s3://{OTHER_BUCKET}/{site.folder.name}"]
    (site.folder / "unmounted").mkdir()
    return [str(site.folder / "unmounted"), str(site.folder / "missing")]


@pytest.mark.parametrize("figures", [(), ("--metrics", "m")])
def test_what_is_named_and_empty_is_refused_by_every_run_until_it_is_begun(
    figures: tuple[str, ...], site: Site
) -> None:
    for store in elsewhere(site):
        for _ in range(2):
            done = site.backup(*figures, store=store)
            assert done.returncode == 1
            assert "--new-store" in done.stderr
            assert "check that the disk is mounted" in done.stderr
            assert len(folded(done.stderr).splitlines()) == 1
            assert ("metrics file m" in done.stderr) is bool(figures)
        assert site.backup("--new-store", store=store).returncode == 0
        assert site.backup(store=store).returncode == 0


def test_nothing_is_read_and_nothing_written_where_the_store_vanished(site: Site) -> None:
    (place, *_) = elsewhere(site)
    done = site.backup(store=place)
    assert "reading" not in done.stderr
    checked = site.run("--json", "check", "acme-staging", store=place)
    assert checked.returncode == 0  # a first look comes before the first backup
    assert json.loads(checked.stdout)["store"].items() >= {"archives": 0, "begun": False}.items()
    told = site.run("check", "acme-staging", store=place).stdout
    assert "does not exist yet; the first backup with --new-store creates it" in told
    site.env["JITSU_BACKUP_METRICS"] = "m"
    expected = site.run("check", "acme-staging", store=place)
    assert (expected.returncode, "new-store" in expected.stdout + expected.stderr) == (1, False)
    assert (
        "although the metrics file m records earlier backups; check that the disk is mounted"
        in expected.stderr
    )
    if not place.startswith("s3://"):
        assert list(Path(place).iterdir()) == []


def test_commands_that_only_read_say_that_nothing_is_there_and_why_that_may_be(site: Site) -> None:
    for store in elsewhere(site):
        for arguments in (
            ("snapshots",), ("show", "latest"), ("verify", "latest"), ("verify", "--all"), ("diff", "latest"),
            ("prune", "--keep-last", "1"), ("prune", "--quarantine"), ("restore", "latest", "--yes"),
            ("recover", "--dry-run"),
        ):  # fmt: skip
            done = site.run(*arguments, store=store)
            assert done.returncode == 1, arguments
            assert "new-store" not in done.stderr, arguments
            assert "check that the disk is mounted" in done.stderr, arguments


@pytest.mark.parametrize("figures", [(), ("--metrics", "m")])
def test_a_store_that_was_begun_and_has_no_archive_left_is_one(figures: tuple[str, ...], site: Site) -> None:
    remove(site, ".gz")
    listed = site.run("snapshots", store=site.store)
    assert (listed.returncode, "is empty" in listed.stdout) == (0, True)
    done = site.backup(*figures)
    assert done.returncode == (3 if figures else 0)
    assert ("restored from an older copy" in done.stderr) is bool(figures)


@pytest.mark.parametrize("figures", [(), ("--metrics", "m")])
def test_a_store_of_before_the_marker_gets_one_at_the_next_write(
    figures: tuple[str, ...], site: Site
) -> None:
    remove(site, MARKER)
    assert site.run("snapshots", store=site.store).returncode == 0
    done = site.backup("--if-changed", *figures)
    assert done.returncode == 0, done.stderr
    assert "marker" not in done.stdout + done.stderr
    assert MARKER not in names(site)  # nothing was written
    assert site.backup(*figures).returncode == 0
    assert MARKER in names(site)


def test_a_store_restored_from_an_older_copy_is_reported_once_where_figures_tell(site: Site) -> None:
    (old,) = (name for name in names(site) if name.endswith(".gz"))
    assert site.backup("--metrics", "m", "--label", "newer").returncode == 0
    remove(site, "newer.json.gz")
    assert site.backup("--if-changed").returncode == 0  # without figures nobody can know
    told = site.backup("--if-changed", "--metrics", "m")
    assert told.returncode == 3
    assert "check whether the store was restored from an older copy" in told.stderr
    assert "unchanged since" in told.stdout
    assert old in names(site)
    assert site.backup("--if-changed", "--metrics", "m").returncode == 0


def test_figures_of_two_stores_that_are_written_to_by_turns_tell_of_each_alone(site: Site) -> None:
    (other, *_) = elsewhere(site)
    assert site.backup("--new-store", store=other).returncode == 0
    for store in (other, site.store, other, site.store):
        assert site.backup("--metrics", "m", store=store).returncode == 0


def test_the_marker_names_its_format_and_holds_an_id_of_its_own(site: Site) -> None:
    (place, *_) = elsewhere(site)
    site.backup("--new-store", store=place)
    other = Site(site.env["JITSU_HOST"], site.folder, place, site.env)
    markers = [json.loads(content(each, MARKER)) for each in (site, other)]
    assert [(marker["format"], marker["version"]) for marker in markers] == [("jitsu-backup-store", 1)] * 2
    assert len({marker["id"] for marker in markers}) == 2
    assert all(marker["created"].endswith("Z") for marker in markers)


def test_the_default_store_is_begun_by_its_first_backup_unless_figures_tell_of_earlier_ones(
    host: str, tmp_path: Path
) -> None:
    site = Site(host, tmp_path, "", {})
    listed = site.run("snapshots")
    assert (listed.returncode, "To create the first archive" in listed.stdout) == (0, True)
    assert site.run("backup", "acme-staging", "--metrics", "m").returncode == 0
    assert (tmp_path / "jitsu-backups" / MARKER).is_file()
    shutil.rmtree(tmp_path / "jitsu-backups")
    assert site.run("backup", "acme-staging").returncode == 0  # nothing tells of earlier ones
    shutil.rmtree(tmp_path / "jitsu-backups")
    refused = site.run("backup", "acme-staging", "--metrics", "m")
    assert (refused.returncode, "the metrics file m records earlier backups" in refused.stderr) == (1, True)
    (tmp_path / "jitsu-backup.toml").write_text('metrics = "m"\n')
    assert site.run("backup", "acme-staging").returncode == 1
    assert (
        site.run("backup", "acme-staging", "--new-store").returncode == 3
    )  # the figures tell of what is lost
    assert site.run("backup", "acme-staging").returncode == 0


@pytest.mark.parametrize("where", ["environment", "settings"])
def test_a_store_is_named_by_the_environment_and_the_settings_file_too(
    where: str, host: str, tmp_path: Path
) -> None:
    site = Site(host, tmp_path, "", {"JITSU_BACKUP_STORE": "store"} if where == "environment" else {})
    if where == "settings":
        (tmp_path / "jitsu-backup.toml").write_text('store = "store"\n')
    assert site.run("backup", "acme-staging").returncode == 1
    assert site.run("--new-store", "backup", "acme-staging").returncode == 0
    assert site.run("backup", "acme-staging").returncode == 0


def test_packing_into_a_store_that_vanished_is_refused_too(site: Site) -> None:
    assert site.run("unpack", "latest", "tree", store=site.store).returncode == 0
    (place, *_) = elsewhere(site)
    assert site.run("pack", "tree", store=place).returncode == 1
    assert site.run("pack", "tree", "--output", "packed.json.gz", store=place).returncode == 0
    assert site.run("pack", "tree", "--new-store", store=place).returncode == 0


def test_figures_of_runs_that_all_failed_tell_of_no_store(host: str, tmp_path: Path) -> None:
    site = Site(host, tmp_path, "", {})
    failed = cli(
        "backup",
        "acme-staging",
        "--metrics",
        "m",
        env={**site.env, "JITSU_APIKEY": "key1:wrong"},
        cwd=tmp_path,
    )
    assert failed.returncode == 6
    assert not (tmp_path / "jitsu-backups").exists()
    assert site.run("backup", "acme-staging", "--metrics", "m").returncode == 0


def test_into_a_read_only_bucket_nothing_is_written_and_what_is_there_can_be_read(
    host: str, s3: S3Server, tmp_path: Path
) -> None:
    site = Site(host, tmp_path, f"s3://{BUCKET}/{tmp_path.name}", s3.environment)
    try:
        s3.befall = lambda _number, method: (403, "AccessDenied") if method == "PUT" else None
        refused = site.backup("--new-store")
        assert refused.returncode == 6
        assert "access denied" in refused.stderr
        assert names(site) == []
        s3.befall = lambda _number, _method: None
        assert site.backup("--new-store").returncode == 0
        remove(site, MARKER)
        s3.befall = lambda _number, method: (403, "AccessDenied") if method == "PUT" else None
        again = site.backup()
        assert (again.returncode, "access denied" in again.stderr) == (6, True)
        assert site.run("verify", "latest", store=site.store).returncode == 0
    finally:
        s3.befall = lambda _number, _method: None


def test_on_a_read_only_disk_nothing_is_written_and_what_is_there_can_be_read(
    host: str, tmp_path: Path
) -> None:
    site = Site(host, tmp_path, str(tmp_path / "disk"), {})
    with small_disk(tmp_path / "disk") as remount:
        remount("ro")
        refused = site.backup("--new-store")
        assert (refused.returncode, "read-only file system" in refused.stderr) == (1, True)
        remount("rw")
        assert site.backup("--new-store").returncode == 0
        remount("ro")
        again = site.backup()
        assert again.returncode == 1
        unwritable = (
            f"cannot write into the store {site.store}: read-only file system; make its disk writable"
        )
        assert unwritable in again.stderr
        checked = site.run("check", "acme-staging", store=site.store)
        assert (checked.returncode, unwritable in checked.stderr) == (1, True)
        assert site.run("verify", "latest", store=site.store).returncode == 0


@contextmanager
def small_disk(folder: Path) -> Iterator[Any]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        yield lambda how: subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def bucket_of(site: Site) -> S3Store | None:
    """A client of the store that is not ours; None where it is a folder."""
    if not site.store.startswith("s3://"):
        return None
    _, _, bucket, prefix = site.store.split("/", 3)
    return S3Store(
        bucket,
        prefix=prefix,
        endpoint=site.env["AWS_ENDPOINT_URL"],
        access_key_id=site.env["AWS_ACCESS_KEY_ID"],
        secret_access_key=site.env["AWS_SECRET_ACCESS_KEY"],
        region=site.env["AWS_REGION"],
        client_options={"allow_http": True},
    )


def names(site: Site) -> list[str]:
    bucket = bucket_of(site)
    if bucket is None:
        return sorted(path.name for path in Path(site.store).iterdir())
    return sorted(str(item["path"]) for item in bucket.list_with_delimiter()["objects"])


def remove(site: Site, end: str) -> None:
    bucket = bucket_of(site)
    for name in names(site):
        if name.endswith(end):
            (Path(site.store) / name).unlink() if bucket is None else bucket.delete(name)


def content(site: Site, name: str) -> bytes:
    bucket = bucket_of(site)
    return (Path(site.store) / name).read_bytes() if bucket is None else bytes(bucket.get(name).bytes())
