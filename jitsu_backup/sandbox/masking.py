"""What the console hides, and what becomes of the mask when it comes back."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from jitsu_backup.model import MASK

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

_LIKELY_SECRET = re.compile(
    r"password|ssh_key|tunnel_user_password|secret|client_secret|api_key|access_token|refresh_token|token"
    r"|private_key|secret_access_key|credentials_json"
)


def mask_destination(config: Mapping[str, Any]) -> dict[str, Any]:
    """Give a destination as it is listed."""
    hidden = DESTINATION_SECRETS.get(str(config.get("destinationType")), ())
    return {name: MASK if name in hidden and value else value for name, value in config.items()}


def mask_service(config: Mapping[str, Any], secret_fields: Iterable[str] | None) -> dict[str, Any]:
    """Give a service as it is listed: fields marked `airbyte_secret` are hidden, at any depth."""
    credentials = config.get("credentials")
    if not isinstance(credentials, Mapping):
        return dict(config)
    known = None if secret_fields is None else set(secret_fields)
    return {**config, "credentials": _mask(credentials, known, "")}


def kind_of(type_name: str, config: Mapping[str, Any]) -> str:
    """Give what decides which fields are secret: the type with its subtype or package, where it has one."""
    subtype = {"destination": "destinationType", "service": "package"}.get(type_name)
    return f"{type_name}/{config.get(subtype)}" if subtype else type_name


def mask_paths(value: Any, hidden: frozenset[str], at: str = "") -> Any:
    """Give `value` with the dotted paths `hidden` masked; lists do not count as a step."""
    if isinstance(value, Mapping):
        return {name: mask_paths(item, hidden, f"{at}.{name}".lstrip(".")) for name, item in value.items()}
    if isinstance(value, list):
        return [mask_paths(item, hidden, at) for item in value]
    return MASK if at in hidden and isinstance(value, str) and value else value


def _mask(value: Any, known: set[str] | None, at: str) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _mask_field(name, item, known, f"{at}.{name}".lstrip(".")) for name, item in value.items()
        }
    if isinstance(value, list):
        return [_mask(item, known, at) for item in value]
    return value


def _mask_field(name: str, value: Any, known: set[str] | None, at: str) -> Any:
    secret = at in known if known is not None else _LIKELY_SECRET.fullmatch(name) is not None
    return MASK if secret and isinstance(value, str) and value else _mask(value, known, at)


def unmask(value: Any, stored: Any) -> Any:
    """Give `value` with masks replaced by what is `stored` in their place, or dropped.

    A POST without a stored object drops them [destination/create-masked-elsewhere], one with
    `cloneId` revives them [delete/clone-from-deleted], a PUT keeps them
    [destination/put-masked-keeps-secret].
    """
    if isinstance(value, Mapping):
        result = {}
        for name, item in value.items():
            old = stored.get(name) if isinstance(stored, Mapping) else None
            if item == MASK:
                if old is not None:
                    result[name] = old
            else:
                result[name] = unmask(item, old)
        return result
    if isinstance(value, list):
        olds = stored if isinstance(stored, list) else []
        return [
            unmask(item, olds[n] if n < len(olds) else None) for n, item in enumerate(value) if item != MASK
        ]
    return value
