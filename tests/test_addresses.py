"""Messages show URLs without the credentials that somebody may have written into them."""

import pytest

from jitsu_backup.addresses import without_secrets
from jitsu_backup.errors import BackupError
from jitsu_backup.operations.alarms import Alarm, What

SECRET = "CANARY-7f3a"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"no backup of s3://K:{SECRET}@b; check it", "no backup of s3://b; check it"),
        (f"`check --config https:/u:{SECRET}@h/x` checks it", "`check --config URL` checks it"),
        (f"cannot write /tmp/s3:/K:{SECRET}@b/x: no", "cannot write /tmp/URL: no"),
        (f"No such command 's3://K:{SECRET} {SECRET}@bucket/x'.", "No such command 's3://bucket/x'."),
        (
            f"az://c/x?sig={SECRET}, https://h/#{SECRET} (http://a:{SECRET}@[::1]:9/p)",
            "az://c/x, https://h/ (http://[::1]:9/p)",
        ),
        (f"proxy http://u:{SECRET}/1@h:9", "proxy URL"),
    ],
)
def test_credentials_in_a_url_are_left_out_of_messages_and_alarms(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
    failed = BackupError(text)
    assert SECRET not in repr(failed) + repr(failed.with_context(after=text))
    assert SECRET not in str(Alarm(What.RUN_FAILED, text, text))


@pytest.mark.parametrize(
    "text",
    [
        "write it as https://jitsu.example.com, or s3://bucket/prefix; then run it again",
        "store s3://…: the URL has options",
        "restore acme/latest --into @production --host http://127.0.0.1:9/x",
        "the answer is 3:/4, mail a@b.example",
    ],
)
def test_all_else_stays_as_it_is(text: str) -> None:
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    "text", ["x" * 40_000, "http://x" + ";" * 40_000, "-https://u:p@h", "s3:/u:p@b" + ";" * 40_000]
)
def test_a_long_word_is_looked_at_once_and_what_follows_a_url_stays(text: str) -> None:
    shown = without_secrets(f"http://u:p@h, {text}.")
    assert shown.startswith("http://h, ")
    assert "u:p" not in shown
    assert shown.endswith(".")
