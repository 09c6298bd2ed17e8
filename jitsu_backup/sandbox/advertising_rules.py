"""The requirements of Google Ads and Meta for a reverse sync. Violations of a schema are reported as a list of issues.

[reverse-sync/create-bad-google-settings]
"""

from collections.abc import Iterator, Mapping
from typing import Any

from jitsu_backup.sandbox.refusals import fault
from jitsu_backup.sandbox.validation import parse

Body = Mapping[str, Any]


def _audience(name_field: str, longest: int, id_schema: Body) -> Body:
    """Return the schema of an audience: one that Jitsu manages, given by name, or an existing one, given by id."""
    name = {"type": "string", "trim": True, "minLength": 1, "maxLength": longest}
    kinds: Mapping[str, Body] = {"managed": {name_field: name}, "existing": {"audienceId": id_schema}}
    options = {
        kind: {
            "properties": {"kind": {"const": kind}, **fields},
            "required": ["kind", *fields],
            "strict": True,
        }
        for kind, fields in kinds.items()
    }
    return {"type": "object", "discriminator": "kind", "options": options}


_GOOGLE_ID = {"type": "string", "pattern": r"^[1-9]\d{0,19}$"}
_GOOGLE_AUDIENCE: Body = {
    "type": "object",
    "properties": {
        "audience": _audience("displayName", 120, _GOOGLE_ID),
        "customerMatchTermsAccepted": {"const": True},
        "exclusiveManagementConfirmed": {"const": True},
        "mirrorStrategy": {"enum": ["snapshot-diff", "full-replace"]},
        "membershipDays": {"type": "integer", "minimum": 1, "maximum": 540},
        "identifierType": {"enum": ["CONTACT_INFO", "MOBILE_ADVERTISING_ID", "CRM_ID"]},
        "appId": {"type": "string", "minLength": 1, "maxLength": 255},
        "mobilePlatform": {"enum": ["IOS", "ANDROID"]},
    },
    "required": ["audience", "customerMatchTermsAccepted"],
    "additionalProperties": False,
    "strict": True,
}
_GOOGLE_CONVERSIONS: Body = {
    "type": "object",
    "properties": {
        "conversionActionId": _GOOGLE_ID,
        "api": {"enum": ["data-manager", "google-ads"]},
        "adjustmentType": {"enum": ["ENHANCEMENT", "RESTATEMENT", "RETRACTION"]},
        "dataSource": {"enum": ["FIRST_PARTY", "THIRD_PARTY"]},
    },
    "required": ["conversionActionId"],
    "additionalProperties": False,
    "strict": True,
}


def google_problems(options: Body, model: Body, _destination: Body) -> Iterator[str]:
    """Yield the problems of a reverse sync to Google Ads. Raise Refusal if the settings violate their schema."""
    mirrored = options["mode"] == "mirror"
    if options["stream"] != "audience":
        _by_schema(_GOOGLE_CONVERSIONS, options["streamOptions"])
        if mirrored or model.get("deleteColumn"):
            yield "Conversion streams require insert mode and a model without a delete column"
        return
    settings = _by_schema(_GOOGLE_AUDIENCE, options["streamOptions"])
    managed = settings["audience"]["kind"] == "managed"
    replaced = settings.get("mirrorStrategy") == "full-replace"
    if (managed or replaced) and not settings.get("exclusiveManagementConfirmed"):
        raise fault([{"code": "custom", "message": "Confirm exclusive audience management", "path": []}])
    if mirrored and (model.get("cursor") or model.get("deleteColumn")):
        yield "Mirror requires a full-query model without a cursor or delete column"
    if managed and not mirrored:
        yield "Managed audiences require mirror mode"
    if replaced and not mirrored:
        yield "Full replacement requires mirror mode"
    if mirrored and not managed and not replaced:
        yield "Existing audiences require full replacement for mirror mode"


_META_ID = {
    "type": "string", "trim": True, "pattern": r"^[1-9][0-9]{0,39}$", "message": "Enter a Meta numeric ID",
}  # fmt: skip
_ACCOUNT_ID = {**_META_ID, "pattern": r"^(act_)?[1-9][0-9]{0,39}$"}
_META_AUDIENCE: Body = {
    "type": "object",
    "properties": {
        "accountId": _ACCOUNT_ID,
        "audience": _audience("name", 180, _META_ID),
        "pageId": _META_ID,
        "valueBased": {"type": "boolean"},
        "customerFileSource": {
            "enum": ["USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED"]
        },
        "exclusiveManagementConfirmed": {"type": "boolean"},
    },
    "required": ["accountId", "audience"],
    "additionalProperties": False,
    "strict": True,
}
_SHORT_TEXT = {"type": "string", "trim": True, "maxLength": 256}
_META_CONVERSIONS: Body = {
    "type": "object",
    "properties": {
        "pixelId": _META_ID,
        "eventName": _SHORT_TEXT,
        "actionSource": {
            "enum": [
                "website", "app", "email", "phone_call", "chat", "physical_store", "system_generated",
                "business_messaging", "other",
            ]
        },
        "messagingChannel": {"enum": ["messenger", "whatsapp", "instagram"]},
        "testEventCode": _SHORT_TEXT,
    },
    "required": ["pixelId"],
    "additionalProperties": False,
    "strict": True,
}  # fmt: skip


def meta_problems(options: Body, model: Body, _destination: Body) -> Iterator[str]:
    """Yield the problems of a reverse sync to Meta. Raise Refusal if the settings violate their schema."""
    mirrored = options["mode"] == "mirror"
    if options["stream"] == "conversions":
        _by_schema(_META_CONVERSIONS, options["streamOptions"])
        if mirrored or model.get("deleteColumn"):
            yield "Meta conversions require insert mode and a model without a delete column"
        return
    settings = _by_schema(_META_AUDIENCE, options["streamOptions"])
    managed = settings["audience"]["kind"] == "managed"
    if managed and not mirrored:
        yield "Managed Meta audiences require mirror mode"
    if mirrored and (not managed or model.get("cursor") or model.get("deleteColumn")):
        yield "Meta mirror requires a managed audience and a full-query model without a cursor or delete column"
    if mirrored and not settings.get("exclusiveManagementConfirmed"):
        yield "Confirm exclusive management before mirroring a Meta audience"


def _by_schema(schema: Body, value: Any) -> Any:
    parsed, issues = parse(schema, value, dates=False)
    if issues:
        raise fault(issues)
    return parsed
