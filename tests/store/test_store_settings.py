"""Settings of an object store that are wrong are named, and never shown, before anything is asked of it."""

import pytest

from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.store import open_store
from tests.s3_server import ENVIRONMENT
from tests.support import run

AZURE = {"AZURE_STORAGE_ACCOUNT_NAME": "acct", "AZURE_STORAGE_ACCOUNT_KEY": "Q0FOQVJZ"}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://b/a/../c", "the prefix must not contain '..'"),
        ("s3://b/..", "the prefix must not contain '..'"),
        ("gs://b/./c", "the prefix must not contain '.'"),
        ("az://b/a\x01b", "the prefix must not contain"),
        ("s3://minio.example.com:9000/b", "not the name of a bucket"),
        ("s3://b c/x", "not the name of a bucket"),
        ("s3://-b", "not the name of a bucket"),
        ("gs://Bkt/p", "not the name of a bucket"),
        ("az://Box/p", "not the name of a bucket"),
        ("az://box.x/p", "not the name of a bucket"),
        ("s3://[b", "store s3://…: not a URL; correct it"),
        ("file://[b", "store file://…: not a URL; correct it"),
    ],
)
def test_a_bucket_or_prefix_that_cannot_be_is_named(url: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        open_store(url, ENVIRONMENT)
    assert "\n" not in str(caught.value)


def test_buckets_and_prefixes_that_can_be_are_taken() -> None:
    for bucket in ("b", "old_bucket.EU", "Bkt", "a-b.c", "$root"):
        open_store(f"s3://{bucket}//a b/ä/", ENVIRONMENT)


@pytest.mark.parametrize("value", ["true", "TRUE", "1", "on", "yes", "y", "false", "0", "off", "No", "n"])
def test_every_way_to_say_yes_or_no_that_the_library_knows_is_taken(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {**ENVIRONMENT, "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": value}
    for name, given in environment.items():
        monkeypatch.setenv(name, given)
    open_store("s3://b", environment)


@pytest.mark.parametrize(
    ("url", "variables", "named"),
    [
        ("s3://b", {"AWS_REGION": "us east"}, "AWS_REGION"),
        ("s3://b", {"AWS_REGION": "us-east-1\n"}, "AWS_REGION"),
        ("s3://b", {"AWS_DEFAULT_REGION": "https://x"}, "AWS_DEFAULT_REGION"),
        ("s3://b", {"AWS_SECRET_ACCESS_KEY": "CANARY\n"}, "AWS_SECRET_ACCESS_KEY"),
        ("s3://b", {"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY is not set"),
        ("s3://b", {"AWS_ACCESS_KEY_ID": ""}, "AWS_ACCESS_KEY_ID is not set"),
        ("s3://b", {"AWS_ENDPOINT_URL": "minio:9000"}, "AWS_ENDPOINT_URL"),
        ("s3://b", {"AWS_REGION": ""}, "AWS_REGION is empty; set it to a value, or unset it"),
        ("s3://b", {"AWS_DEFAULT_REGION": " "}, "AWS_DEFAULT_REGION"),
        ("s3://b", {"AWS_SESSION_TOKEN": ""}, "AWS_SESSION_TOKEN is empty"),
        ("s3://b", {"AWS_ENDPOINT_URL": ""}, "AWS_ENDPOINT_URL is empty"),
        ("s3://b", {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "AWS_ACCESS_KEY_ID is empty"),
        ("s3://b", {"AWS_CHECKSUM_ALGORITHM": ""}, "AWS_CHECKSUM_ALGORITHM is empty"),
        ("s3://b", {"AWS_REQUEST_CHECKSUM_CALCULATION": ""}, "AWS_REQUEST_CHECKSUM_CALCULATION is empty"),
        ("s3://b", {"AWS_REQUEST_CHECKSUM_CALCULATION": "CANARY"}, "AWS_REQUEST_CHECKSUM_CALCULATION must be when_supported or"),
        ("s3://b", {"AWS_SSE_BUCKET_KEY_ENABLED": "CANARY"}, "AWS_SSE_BUCKET_KEY_ENABLED is neither true nor false"),
        ("s3://b", {"AWS_SKIP_SIGNATURE": "us-east-1"}, "AWS_SKIP_SIGNATURE is neither true nor false"),
        ("s3://b", {"AWS_CONDITIONAL_PUT": "us-east-1"}, "AWS_REGION or AWS_CONDITIONAL_PUT has an unusable value"),
        ("gs://b", {"SERVICE_ACCOUNT": "/CANARY.json"}, "b: SERVICE_ACCOUNT has an unusable value"),
        ("gs://b", {"GOOGLE_SERVICE_ACCOUNT": ""}, "GOOGLE_SERVICE_ACCOUNT is empty"),
        ("gs://b", {"GOOGLE_SKIP_SIGNATURE": "CANARY"}, "GOOGLE_SKIP_SIGNATURE is neither true nor false"),
        ("az://b", {**AZURE, "AZURE_STORAGE_ENDPOINT": ""}, "AZURE_STORAGE_ENDPOINT is empty"),
        ("az://b", {**AZURE, "AZURE_STORAGE_USE_EMULATOR": "CANARY"}, "AZURE_STORAGE_USE_EMULATOR is neither true nor false"),
        ("az://b", {**AZURE, "AZURE_STORAGE_ACCOUNT_KEY": ""}, "AZURE_STORAGE_ACCOUNT_KEY is empty"),
        ("s3://b", {"AWS_CHECKSUM_ALGORITHM": "CANARY"}, "AWS_CHECKSUM_ALGORITHM"),
        ("s3://b", {"AWS_SERVER_SIDE_ENCRYPTION": "CANARY"}, "AWS_SERVER_SIDE_ENCRYPTION"),
        ("s3://b", {"AWS_SERVER_SIDE_ENCRYPTION": ""}, "AWS_SERVER_SIDE_ENCRYPTION"),
        ("s3://b", {"AWS_SERVER_SIDE_ENCRYPTION": "sse-c", "AWS_SSE_CUSTOMER_KEY_BASE64": "CANARY"}, "AWS_SSE_CUSTOMER_KEY_BASE64"),
        ("s3://b", {"AWS_SSE_KMS_KEY_ID": "CANARY"}, "AWS_SERVER_SIDE_ENCRYPTION=aws:kms"),
        ("s3://b", {"AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "CANARY"}, "AWS_VIRTUAL_HOSTED_STYLE_REQUEST"),
        ("gs://b", {"GOOGLE_SERVICE_ACCOUNT": "/CANARY.json"}, "GOOGLE_SERVICE_ACCOUNT"),
        ("gs://b", {"GOOGLE_SERVICE_ACCOUNT": "/etc/hostname"}, "GOOGLE_SERVICE_ACCOUNT"),
        ("gs://b", {"GOOGLE_APPLICATION_CREDENTIALS": "/CANARY.json"}, "GOOGLE_APPLICATION_CREDENTIALS"),
        ("az://b", {**AZURE, "AZURE_STORAGE_ACCOUNT_KEY": "not CANARY base64"}, "AZURE_STORAGE_ACCOUNT_KEY"),
        ("az://b", {**AZURE, "AZURE_STORAGE_ACCOUNT_KEY": "Q0FOQVJZ\n"}, "AZURE_STORAGE_ACCOUNT_KEY"),
        ("az://b", {**AZURE, "AZURE_STORAGE_ACCOUNT_NAME": "CANARY x"}, "AZURE_STORAGE_ACCOUNT_NAME"),
        ("az://b", {"AZURE_STORAGE_ACCOUNT_NAME": "a", "AZURE_STORAGE_SAS_TOKEN": "%%CANARY"}, "AZURE_STORAGE_SAS_TOKEN"),
        ("az://b", {}, "set AZURE_STORAGE_ACCOUNT_NAME|AZURE_STORAGE_ACCOUNT_NAME is not set"),
    ],
)  # fmt: skip
def test_a_variable_that_is_set_wrong_is_named_and_its_value_is_not(
    url: str, variables: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {**(ENVIRONMENT if url.startswith("s3") else {}), **variables}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=named) as caught:
        open_store(url, environment)
    assert "CANARY" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_kinds_of_encryption_that_s3_knows_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("AES256", "aws:kms", "aws:kms:dsse"):
        environment = {**ENVIRONMENT, "AWS_SERVER_SIDE_ENCRYPTION": kind, "AWS_SSE_KMS_KEY_ID": "key"}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        open_store("s3://b/prefix", environment)


def test_a_token_file_that_is_gone_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"AWS_REGION": "x", "AWS_ROLE_ARN": "x", "AWS_WEB_IDENTITY_TOKEN_FILE": "/CANARY"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BackupError, match="the file that the environment names for its token") as caught:
        run(open_store("s3://b", environment).names())
    assert "CANARY" not in str(caught.value)
