"""Masking of secrets, and what the console does with a mask that it receives."""

from collections.abc import Iterable, Mapping
from typing import Any

from jitsu_backup.model import MASK
from jitsu_backup.sandbox.generation import Generation

DESTINATION_SECRETS: Mapping[str, tuple[str, ...]] = {
    "clickhouse": ("password",),
    "postgres": ("password", "sslServerCA", "sslClientKey", "sslClientCert"),
    "bigquery": ("keyFile",),
    "snowflake": ("password", "privateKey", "privateKeyPassphrase"),
    "redshift": ("password", "secretAccessKey"),
    "mysql": ("password",),
    "mongodb": ("password",),
    "s3": ("secretAccessKey",),
    "gcs": ("accessKey",),
    "duckdb": ("motherduckToken",),
    "mixpanel": ("serviceAccountPassword",),
    "facebook-conversions": ("accessToken",),
    "statsig": ("apiKey",),
}
"""The destination fields that the console's form treats as passwords [destination/get-masked]."""

NEWEST_SECRETS: Mapping[str, tuple[str, ...]] = {
    **DESTINATION_SECRETS,
    "webhook": ("signatureSecret", "signaturePrivateKey"),
    "google-ads": ("developerToken",),
    "resend": ("apiKey",),
    "sendgrid": ("apiKey",),
}
"""The same for the newest console [destination/get-webhook-signed, destination/get-google-ads]."""


def mask_destination(config: Mapping[str, Any], generation: Generation) -> dict[str, Any]:
    """Return a destination with its secrets masked."""
    known = NEWEST_SECRETS if generation.is_newest else DESTINATION_SECRETS
    hidden = known.get(str(config.get("destinationType")), ())
    return {name: MASK if name in hidden else value for name, value in config.items()}


def mask_service(config: Mapping[str, Any], secret_fields: Iterable[str]) -> dict[str, Any]:
    """Return a service with the fields marked `airbyte_secret` masked, at any depth."""
    hidden = frozenset(f"credentials.{path}" for path in secret_fields)
    result: dict[str, Any] = mask_paths(config, hidden)
    return result


def kind_of(type_name: str, config: Mapping[str, Any]) -> str:
    """Return the type with its subtype or package, if any, which decides which fields are secret."""
    subtype = {"destination": "destinationType", "service": "package"}.get(type_name)
    return f"{type_name}/{config.get(subtype)}" if subtype else type_name


def mask_paths(value: Any, hidden: frozenset[str], at: str = "") -> Any:
    """Return `value` with the dotted paths in `hidden` masked; paths skip positions in lists."""
    if at in hidden:
        return MASK
    if isinstance(value, Mapping):
        return {name: mask_paths(item, hidden, f"{at}.{name}".lstrip(".")) for name, item in value.items()}
    if isinstance(value, list):
        return [mask_paths(item, hidden, at) for item in value]
    return value


def unmask(value: Any, stored: Any) -> Any:
    """Return `value` with masks replaced by what is `stored` in their place, or dropped.

    A POST without a stored object drops the secrets [destination/create-masked-elsewhere], one with `cloneId` revives
    them [delete/clone-from-deleted], a PUT keeps them [destination/put-masked-keeps-secret].
    """
    if isinstance(value, Mapping):
        result = {}
        for name, item in value.items():
            olds = stored if isinstance(stored, Mapping) else {}
            if item != MASK:
                result[name] = unmask(item, olds.get(name))
            elif name in olds:
                result[name] = olds[name]
        return result
    if isinstance(value, list):
        items = stored if isinstance(stored, list) else []
        return [
            unmask(item, items[n] if n < len(items) else None) for n, item in enumerate(value) if item != MASK
        ]
    return value
