"""What docs/archive-format.md shows is what the code does."""

import hashlib
import json
import re
from pathlib import Path

from jitsu_backup.archive import MAX_DOCUMENT_BYTES, decode, digest
from jitsu_backup.archive.codec import schema
from jitsu_backup.model import canonical
from tests.archive.test_codec import pack

PAGE = (Path(__file__).parents[2] / "docs" / "archive-format.md").read_text(encoding="utf-8")
EXAMPLE, SCHEMA = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_is_an_archive() -> None:
    document = json.loads(EXAMPLE)
    snapshot = decode(pack(EXAMPLE.encode()))
    assert digest(snapshot) == document["digest"]
    assert snapshot.manifest.ledger


def test_the_schema_on_the_page_is_the_shipped_one() -> None:
    assert json.loads(SCHEMA) == schema()
    shipped = Path(decode.__code__.co_filename).with_name("schema-v3.json").read_text(encoding="utf-8")
    assert shipped == SCHEMA


def test_the_limit_on_the_page_is_that_of_the_code() -> None:
    assert f"{MAX_DOCUMENT_BYTES // 1024**2} MiB" in PAGE


def test_the_digest_is_what_the_page_tells_to_compute_by_hand() -> None:
    document = json.loads(EXAMPLE)
    text = json.dumps(
        {"content": document["content"], "manifest": document["manifest"]},
        sort_keys=True, separators=(",", ":"), ensure_ascii=False,
    )  # fmt: skip
    assert text.encode() == canonical(json.loads(text))
    assert hashlib.sha256(text.encode()).hexdigest() == document["digest"]
