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
        (f"'https://u:{SECRET} x@h/p'.", "'https://h/p'."),
        (f"'https://u:a'{SECRET}\"@h/p'.", "'https://h/p'."),
        (f"https://u:a#{SECRET}@h/p; correct it", "URL; correct it"),
        (f"cannot read https:/u:a {SECRET}@h/p: no", "cannot read URL: no"),
        (f"https://u:a@{SECRET}[@h/p", "https://h/p"),
        (f"host 'u:{SECRET}@db.example:5432'", "host 'u:***@db.example:5432'"),
        (f"no profile @x:{SECRET}@y, because", "no profile @x:***@y, because"),
        (f"'clx1:{SECRET}-9b2c4d6e8f0a1b'; no", "'clx1:***'; no"),
        (f"/x/service:{SECRET}-9b2c4d6e8f0a1b: no", "/x/service:***: no"),
        (f"AGE-SECRET-KEY-1{SECRET}.", "AGE-SECRET-KEY-1***."),
        (
            f"AccountName=x;AccountKey={SECRET}==; x?sig={SECRET}&a=1",
            "AccountName=x;AccountKey=***; x?sig=***&a=1",
        ),
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
        "diff live:cstaging000000000000000001 at 2026-11-27T08:42:12Z, mailto:me@b.example",
        "use age1… or AGE-SECRET-KEY-1…, and http://[::1]:9 --into @production or latest/@staging: both",
        'in ["acme:destination/Warehouse-2026-11"] of sha256:0123456789abcdef0123',
    ],
)
def test_all_else_stays_as_it_is(text: str) -> None:
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "x" * 40_000,
        "http://x" + ";" * 40_000,
        "-https://u:p@h",
        "s3:/u:p@b" + ";" * 40_000,
        "a://b:c" * 9_000,
        "x:y " + "{" * 40_000,
    ],
)
def test_a_long_word_is_looked_at_once_and_what_follows_a_url_stays(text: str) -> None:
    shown = without_secrets(f"http://u:p@h, {text}.")
    assert shown.startswith("http://h, ")
    assert "u:p" not in shown
    assert shown.endswith(".")
