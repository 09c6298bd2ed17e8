"""Encryption with a passphrase that takes little work, for the commands that tests run: pyrage spends a second on each.

What is written is an age file all the same, which pyrage itself reads.
"""

import base64
import hashlib
import hmac
import os

import pyrage
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

WORK = 8


def encrypt(data: bytes, passphrase: str) -> bytes:
    def derived(salt: bytes, purpose: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt, purpose).derive(file_key)

    file_key, salt, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
    label = b"age-encryption.org/v1/scrypt"
    wrap = hashlib.scrypt(passphrase.encode(), salt=label + salt, n=2**WORK, r=8, p=1, dklen=32)
    body = ChaCha20Poly1305(wrap).encrypt(bytes(12), file_key, None)
    header = b"age-encryption.org/v1\n-> scrypt %s %d\n%s\n---" % (_text(salt), WORK, _text(body))
    mac = hmac.digest(derived(b"", b"header"), header, "sha256")
    cipher, size = ChaCha20Poly1305(derived(nonce, b"payload")), 2**16
    pieces = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
    sealed = [
        cipher.encrypt(number.to_bytes(11, "big") + bytes([number == len(pieces) - 1]), piece, None)
        for number, piece in enumerate(pieces)
    ]
    return b"".join((header, b" ", _text(mac), b"\n", nonce, *sealed))


def install() -> None:
    """Let all that this process encrypts with a passphrase be encrypted so."""
    pyrage.passphrase.encrypt = encrypt


def _text(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")
