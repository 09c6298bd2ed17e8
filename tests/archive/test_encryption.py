"""age around an archive: what `age -d` reads we read, a wrong key is one plain line, and nothing leaks."""

import shutil
import subprocess
from pathlib import Path

import pyrage
import pytest

from jitsu_backup.archive import decrypt, encode, encrypt, is_encrypted, parse_name
from jitsu_backup.errors import IntegrityError, LockedError, UsageError
from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from tests import light_phrases
from tests.support import OWNER, STAGING, cli, recorded_snapshot

DATA = encode(recorded_snapshot())


@pytest.fixture(scope="module")
def key() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


def identity_file(key: pyrage.x25519.Identity) -> bytes:
    return f"# created today\n# public key: {key.to_public()}\n{key}\n".encode()


def test_what_is_encrypted_to_several_is_read_by_each_of_them(key: pyrage.x25519.Identity) -> None:
    other = pyrage.x25519.Identity.generate()
    sealed = encrypt(DATA, [str(key.to_public()), str(other.to_public())])
    assert is_encrypted(sealed)
    assert not is_encrypted(DATA)
    assert decrypt(sealed, [identity_file(key)]) == decrypt(sealed, [identity_file(other)]) == DATA
    assert encrypt(DATA, [str(key.to_public())]) != encrypt(DATA, [str(key.to_public())])


def test_a_passphrase_does_without_keys() -> None:
    sealed = encrypt(b"x", passphrase="correct horse")
    assert decrypt(sealed, passphrase="correct horse") == b"x"
    with pytest.raises(LockedError, match="passphrase is wrong"):
        decrypt(sealed, passphrase="wrong")
    with pytest.raises(UsageError, match="JITSU_BACKUP_PASSPHRASE"):
        decrypt(sealed)


@pytest.mark.parametrize("slow", [2, 3])
def test_a_machine_that_seems_too_slow_for_a_passphrase_is_measured_again_and_never_called_damage(
    slow: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed, answers = encrypt(b"x", passphrase="correct horse"), iter(range(slow))
    real = pyrage.passphrase.decrypt

    def seems_slow(data: bytes, phrase: str) -> bytes:
        if next(answers, None) is None:
            return bytes(real(data, phrase))
        raise pyrage.DecryptError("Excessive work parameter for passphrase.")

    monkeypatch.setattr(pyrage.passphrase, "decrypt", seems_slow)
    if slow < 3:
        assert decrypt(sealed, passphrase="correct horse") == b"x"
        return
    with pytest.raises(LockedError, match="when the machine is less busy, or decrypt the file with age -d"):
        decrypt(sealed, passphrase="correct horse")


@pytest.mark.parametrize("size", [0, 1, 2**16, 2**16 + 1])
def test_what_the_tests_encrypt_with_less_work_is_an_age_file_that_only_its_passphrase_opens(
    size: int,
) -> None:
    sealed = light_phrases.encrypt(bytes(size), "correct horse")
    assert decrypt(sealed, passphrase="correct horse") == bytes(size)
    with pytest.raises(LockedError, match="passphrase is wrong"):
        decrypt(sealed, passphrase="wrong")


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="makes SSH keys with ssh-keygen")
@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_ssh_keys_serve_as_well(kind: str, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", tmp_path / "id"], check=True)
    sealed = encrypt(DATA, [(tmp_path / "id.pub").read_text()])
    assert decrypt(sealed, [(tmp_path / "id").read_bytes()]) == DATA


@pytest.mark.skipif(not shutil.which("age"), reason="needs the reference age tool")
def test_the_reference_tool_reads_ours_and_we_read_its(key: pyrage.x25519.Identity, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(identity_file(key))
    (tmp_path / "a.age").write_bytes(encrypt(DATA, [str(key.to_public())]))
    done = subprocess.run(
        ["age", "-d", "-i", tmp_path / "key", tmp_path / "a.age"], capture_output=True, check=True
    )
    assert done.stdout == DATA
    for armour in ((), ("-a",)):
        command = ["age", *armour, "-r", str(key.to_public())]
        made = subprocess.run(command, input=DATA, capture_output=True, check=True)
        assert decrypt(made.stdout, [identity_file(key)]) == DATA


def test_a_wrong_key_and_a_damaged_file_are_told_apart(key: pyrage.x25519.Identity) -> None:
    sealed = encrypt(DATA, [str(key.to_public())])
    with pytest.raises(LockedError, match="other identities"):
        decrypt(sealed, [identity_file(pyrage.x25519.Identity.generate())])
    with pytest.raises(UsageError, match="--identity"):
        decrypt(sealed)
    damaged = [sealed[:length] for length in (30, 150, len(sealed) // 2, len(sealed) - 1)]
    damaged += [sealed[:-5] + b"x" + sealed[-4:], b"-----BEGIN AGE ENCRYPTED FILE-----\n!!\n-----END"]
    for broken in damaged:
        with pytest.raises(IntegrityError):
            decrypt(broken, [identity_file(key)])


@pytest.mark.parametrize("text", ["age1nope", "ssh-rsa AAAA", "somebody", ""])
def test_what_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a recipient"):
        encrypt(DATA, [text])


@pytest.mark.parametrize("text", [b"", b"nonsense", b"-----BEGIN OPENSSH PRIVATE KEY-----\nx\n", b"\xff\xfe"])
def test_what_is_no_identity_is_refused(text: bytes, key: pyrage.x25519.Identity) -> None:
    with pytest.raises(UsageError, match="identity"):
        decrypt(encrypt(DATA, [str(key.to_public())]), [text])


def test_an_empty_identity_file_is_named_so_with_its_usual_reason_in_ci(key: pyrage.x25519.Identity) -> None:
    words = "identity file is empty; write the private key into it.*in CI, a secret"
    with pytest.raises(UsageError, match=words):
        decrypt(encrypt(DATA, [str(key.to_public())]), [b"\n"])


def test_a_backup_machine_needs_no_private_key_and_a_restore_does(
    key: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    state = default_state()
    example_workspace(state, STAGING)
    (tmp_path / "key").write_bytes(identity_file(key))
    (tmp_path / "recipients").write_text(f"# the vault\n{key.to_public()}\n")
    sandbox = Sandbox(state, rate_limit=False)
    with running(sandbox) as url:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}
        token = ("--admin-token", "service:admintoken")
        done = cli("backup", "acme-staging", "--encrypt-to", "recipients", *token, env=env, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "encrypted" in done.stdout
        (archive,) = (tmp_path / "jitsu-backups").glob("*.age")
        name = parse_name(archive.name)
        assert name is not None
        assert name.encrypted
        assert b"pg-secret" not in archive.read_bytes()
        locked = cli("verify", "latest", env=env, cwd=tmp_path)
        assert locked.returncode == 2
        assert "--identity" in locked.stderr
        assert cli("verify", "latest", "--identity", "key", env=env, cwd=tmp_path).returncode == 0
        state.objects["enrich-0001"].config["code"] = "of today"
        settings = {**env, "JITSU_BACKUP_IDENTITY": "key", "JITSU_BACKUP_ENCRYPT_TO": str(key.to_public())}
        assert cli("restore", "latest", "--yes", env=settings, cwd=tmp_path).returncode == 0
        assert state.objects["enrich-0001"].config["code"] != "of today"
        assert all(path.name.endswith(".age") for path in (tmp_path / "jitsu-backups").glob("*.json.gz*"))
        wrong = cli("backup", "acme-staging", "--encrypt-to", "age1nope", env=env, cwd=tmp_path)
        assert wrong.returncode == 2
