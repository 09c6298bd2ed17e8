"""What a settings file may say of protected entities, ignored fields and sets of selectors."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from jitsu_backup.errors import UsageError
from jitsu_backup.settings import Guard, Overrides, Settings, load, problems

FILE = """
protect = ["stream/*"]
ignore = "destination/*:name"

[profiles.production]
host = "https://jitsu.example.com/"
workspace = "acme"
protect = ["destination/Warehouse", "stream/*"]
ignore = ["service/*:credentials.host"]

[profiles.elsewhere]
host = "https://other.example.com"
workspace = "acme"
protect = ["function/*"]

[profiles.default]
protect = ["misc/*"]

[sets.marketing]
only = ["link/Web site -> *", "function/Enrich"]
skip = "destination/Warehouse"

[sets.code]
only = "function/*"
"""
HOST = "https://jitsu.example.com"


def settings_of(folder: Path, text: str = FILE, **environment: str) -> Settings:
    (folder / "jitsu-backup.toml").write_text(text)
    return load(None, environment, None, folder, Overrides())


def test_a_workspace_has_what_the_top_says_and_what_every_profile_says_that_names_it(tmp_path: Path) -> None:
    found = settings_of(tmp_path)
    top = Guard(("stream/*",), ("destination/*:name",))
    own = Guard(("stream/*", "destination/Warehouse"), ("destination/*:name", "service/*:credentials.host"))
    assert found.guard(HOST, ("w1", "acme")) == own
    assert found.guard(HOST, ("acme",)) == own
    assert found.guard(HOST, ("w1", None)) == top
    assert found.guard(HOST, ("w1", "acme-renamed"), "production") == own
    assert found.guard("https://other.example.com", ("w1", "acme")).protect == ("stream/*", "function/*")


def test_a_profile_without_a_workspace_means_the_default_one(tmp_path: Path) -> None:
    found = settings_of(tmp_path, JITSU_HOST=HOST, JITSU_WORKSPACE="w9")
    assert found.guard(HOST, ("w9", "nine")).protect == ("stream/*", "misc/*")
    assert found.guard(HOST, ("w8", "eight")).protect == ("stream/*",)


def test_a_profile_with_a_wrong_address_keeps_no_other_from_being_used(tmp_path: Path) -> None:
    found = settings_of(tmp_path, FILE.replace("https://other.example.com", "ftp://x"))
    assert found.guard(HOST, ("acme",)).protect == ("stream/*", "destination/Warehouse")


def test_a_place_knows_the_profile_that_named_it(tmp_path: Path) -> None:
    found = settings_of(tmp_path, JITSU_APIKEY="a:b", JITSU_HOST=HOST)
    assert (found.place("@production").profile, found.place("acme").profile) == ("production", None)


def test_sets_add_up(tmp_path: Path) -> None:
    found = settings_of(tmp_path)
    assert found.selection(()) == ((), ())
    assert found.selection(["code"]) == (("function/*",), ())
    only, skip = found.selection(["code", "marketing"])
    assert only == ("function/*", "link/Web site -> *", "function/Enrich")
    assert skip == ("destination/Warehouse",)
    with pytest.raises(UsageError, match=r"^--set: unknown set 'other'; use one of code, marketing$"):
        found.selection(["code", "other"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('protect = ["strem/*"]', "'protect': unknown type 'strem'; did you mean 'stream'?"),
        ('protect = ["/x"]', "'protect': selector '/x' has no type; write type, type/id or type/name"),
        ('protect = "stream/"', "'protect': 'stream/' has nothing after the slash"),
        ("protect = 1", "'protect' must be text or a list of texts, and not empty"),
        ("protect = []", "'protect' must be text or a list of texts, and not empty"),
        ('protect = ["a/b", 1]', "'protect' must be text or a list of texts, and not empty"),
        ('ignore = "destination/*"', "'ignore': 'destination/*' has no field; write SELECTOR:FIELD.PATH"),
        ('ignore = "servce/*:name"', "'ignore': unknown type 'servce'; did you mean 'service'?"),
        ('ignore = "link/*:fromId"', "'ignore': 'link/*:fromId': the field 'fromId' cannot be chosen"),
        ('[profiles.p]\nprotect = ["strem"]', "'profiles.p.protect': unknown type 'strem'"),
        ('[profiles.p]\nignore = [" "]', "'profiles.p.ignore' must be text or a list of texts"),
        ("sets = 1", "'sets' must be tables, [sets.NAME]"),
        ("[sets]\nx = 1", "'sets' must be tables, [sets.NAME]"),
        ("[sets.x]\n", "'sets.x.only' is missing; it must list what the set chooses"),
        ('[sets.x]\nonly = "stream"\nskipp = "a"', "unknown setting 'sets.x.skipp'; did you mean 'skip'?"),
        ('[sets.x]\nonly = ["functoin/*"]', "'sets.x.only': unknown type 'functoin'"),
        ('[sets.x]\nonly = "stream"\nskip = {}', "'sets.x.skip' must be text or a list of texts"),
    ],
)
def test_what_is_wrong_is_reported_in_one_line_that_names_the_file_and_the_key(
    text: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as raised:
        settings_of(tmp_path, text)
    assert str(raised.value).startswith(f"settings file {tmp_path / 'jitsu-backup.toml'}: {problem}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ['protect = ["newer*/x"]', 'protect = "*"', 'ignore = "*/*:a.*.b"'])
def test_a_star_stands_for_types_that_this_version_does_not_know(text: str, tmp_path: Path) -> None:
    settings_of(tmp_path, text)


VALUES: st.SearchStrategy[object] = st.recursive(
    st.none()
    | st.integers()
    | st.text("a/*:", max_size=5)
    | st.sampled_from(["stream/*", "stream/*:name", ":"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["only", "skip", "protect", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(["protect", "ignore", "sets", "profiles"]), VALUES, max_size=3))
def test_no_value_of_whatever_shape_makes_the_check_fail(document: dict[str, object]) -> None:
    assert all(isinstance(line, str) for line in problems(document))
