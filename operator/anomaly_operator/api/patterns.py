"""Patterns of the API's strings, and what to say in words when one does not match."""

from __future__ import annotations

DNS_LABEL = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
DNS_NAME = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
LABEL_KEY = r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$"
LABEL_VALUE = r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$"
GROUP = r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$"
METRIC = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
WILDCARD = r"^\*?[^*]+\*?$"
NO_WILDCARD = r"^[^*]*$"
CRON = r"^\S+( +\S+){4}$"
TIMEZONE = r"^[A-Za-z0-9_+/-]+$"
TIME_RANGE = r"^(auto|([0-9]{1,5}d)?([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?)$"
DATA_KEY = r"^[-._a-zA-Z0-9]+$"
URL = r"^https?://[^\s]+$"
HEADER = r"^[A-Za-z0-9-]+$"
REASON = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"

IN_WORDS = {
    DNS_LABEL: "is not a name: lower case letters, digits and hyphens, a letter or digit at both"
    " ends",
    DNS_NAME: "is not a name: lower case letters, digits, hyphens and dots, a letter or digit at"
    " both ends",
    LABEL_KEY: "is not a label key, such as app or example.com/tier",
    LABEL_VALUE: "is not a label value: letters, digits, '-', '_' and '.', a letter or digit at"
    " both ends",
    GROUP: "is not a group: lower case letters, digits, hyphens and underscores, a letter or digit"
    " at both ends",
    METRIC: "is not a metric or label name: letters, digits and underscores, no digit first",
    WILDCARD: "may have * only at its start and its end, and must have more than that",
    NO_WILDCARD: "holds a wildcard; write the values out, comma separated",
    CRON: "is not a five-field cron expression, such as 0 2 * * 6",
    TIMEZONE: "is not an IANA time zone, such as Europe/Berlin",
    TIME_RANGE: "is neither auto nor a duration such as 1h",
    DATA_KEY: "is not a key of a Secret: letters, digits, '-', '_' and '.'",
    URL: "is not an http or https address",
    HEADER: "is not the name of an HTTP header",
    REASON: "is not one word in CamelCase",
}
