"""Number rules: how numbers are rewritten between us and a provider, as data.

A line has lists of them for called numbers and for caller ids, in and out; `identity` and `identify` apply them. Rules
are read from code and TOML, so what they can cost is bounded: a number has at most 64 characters, and a pattern is of a
kind that cannot take long on those. Formats are those of the `phonenumbers` library (E.164, RFC 3966 §5.1.4).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any, Literal

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber

__all__ = ["MAX_NUMBER", "NumberFormat", "NumberRule", "in_full", "is_country", "rewritten", "rule_of"]

NumberFormat = Literal["", "plus", "e164", "international", "national"]
"""+4930123456, 4930123456, 004930123456 (with the country's own prefix) or 030123456."""

MAX_NUMBER = 64
"""Characters of a number that rules look at: E.164 has 15 digits, and what is longer goes through as it is."""

MAX_PATTERN = 100
"""Characters of a pattern."""

MAX_REPEATS = 3
"""Repetitions in a pattern: with n of them a match takes at most 64**n steps, which 3 keep far below a second."""

_ATOM = r"(?:[0-9a-zA-Z]|\\d|\\[+*#.]|[#.]|\[\^?[0-9a-zA-Z+*#.-]+\])"
_REPEAT = r"(?:[?*+]|\{\d{1,2}(?:,\d{0,2})?\})"
_RUN = rf"(?:{_ATOM}{_REPEAT}?)"
# Letters, classes and repetitions of one of them; groups hold alternatives without repetition, and are not repeated.
_SAFE = re.compile(rf"(?:{_RUN}|\({_ATOM}*(?:\|{_ATOM}*)*\)(?!{_REPEAT}))*")
_CLASS = re.compile(r"\[[^\]]*\]|\\.")
_VARIABLE = re.compile(r"[?*+]|\{\d+,\d*\}")
MAX_GROUPS = 3

_NUMBER = re.compile(r"\+?[0-9 ().\-/]+")
"""What may be a telephone number. The library would read letters as digits, and no * or # is one."""

_REWRITTEN = re.compile(r"[+*#0-9A-Za-z._-]*")


def is_country(code: str) -> bool:
    """Whether it is the code of a country with telephone numbers, as "DE" (ISO 3166-1 alpha-2)."""
    return code in phonenumbers.SUPPORTED_REGIONS


@dataclass(frozen=True, slots=True)
class NumberRule:
    """One rule: which numbers it is for, and what becomes of them.

    It is for numbers with its `prefix` that its `pattern` matches as a whole; one with neither is for all. It takes
    `strip` characters away in front, puts `prepend` there, then brings the number into `format`.
    """

    prefix: str = ""
    """What the number begins with."""
    pattern: str = ""
    """A regular expression for the whole number: characters, classes, `\\d`, `.`, up to three repetitions of one of these,
    up to three groups of alternatives. Nested repetitions are refused, since they may take for ever."""
    strip: int = 0
    """Characters that are taken away in front."""
    prepend: str = ""
    """What is put there instead."""
    format: NumberFormat = ""
    """How the number is written then; what is no telephone number there stays, as an emergency number does."""
    country: str = ""
    """Where a number without country code is; the line's unless given."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - not a field: what pydantic reads

    def __post_init__(self) -> None:
        for problem in self._wrong():
            raise ValueError(problem)

    def _wrong(self) -> Iterable[str]:
        if not 0 <= self.strip <= MAX_NUMBER:
            yield f"strip: 0 to {MAX_NUMBER} characters"
        for name, text in (("prefix", self.prefix), ("prepend", self.prepend)):
            if len(text) > MAX_NUMBER or not _REWRITTEN.fullmatch(text):
                yield f"{name}: digits, letters and + * # . - _ are possible, up to {MAX_NUMBER}"
        if self.country and not is_country(self.country):
            yield f"country: {self.country} is no country code, as DE"
        if self.format not in ("", "plus", "e164", "international", "national"):
            yield 'format: "plus", "e164", "international" or "national"'
        yield from _pattern_problems(self.pattern)

    def applies(self, number: str) -> bool:
        """Whether it is for that number, which has at most `MAX_NUMBER` characters."""
        if not number.startswith(self.prefix):
            return False
        return not self.pattern or re.fullmatch(self.pattern, number) is not None

    def apply(self, number: str, country: str = "") -> str:
        """What becomes of a number that it is for.

        Args:
            number: As it came.
            country: Where it is from where neither it nor the rule says so, as "DE"; may be "".
        """
        changed = self.prepend + number[self.strip :]
        return _formatted(changed, self.format, self.country or country) if self.format else changed

    def data(self) -> dict[str, Any]:
        """What differs from the defaults, as plain values."""
        defaults = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != defaults[name]}


def rule_of(value: NumberRule | Mapping[str, Any]) -> NumberRule:
    """The rule that plain values say. ValueError where they say none."""
    if isinstance(value, NumberRule):
        return value
    known = {field.name for field in fields(NumberRule)}
    for name in value:
        if name not in known:
            raise ValueError(f"unknown key {name}; known are {', '.join(sorted(known))}")
    return NumberRule(**value)


def rewritten(number: str, rules: Iterable[NumberRule], country: str = "") -> str:
    """A number after the first rule that is for it; as it is where none is, or where it is too long.

    Args:
        number: As it came, of any length.
        rules: In order.
        country: Where numbers without country code are, as "DE".

    Returns:
        The number as it goes on. Where a rule would leave nothing of it, it stays.
    """
    if not number or len(number) > MAX_NUMBER:
        return number
    for rule in rules:
        if rule.applies(number):
            return rule.apply(number, country) or number
    return number


def in_full(number: str, country: str = "") -> str:
    """A number with its country code, by which prices and places are compared (E.164); "" where it has none.

    Args:
        number: As it is dialled: +4930123456, 004930123456 or 030123456.
        country: Where numbers without country code are, as "DE"; "" where that is not known.
    """
    if not number.startswith("+") and not country:
        return ""
    full = _formatted(number, "plus", country)
    return full if full.startswith("+") else ""


def _pattern_problems(pattern: str) -> Iterable[str]:
    if len(pattern) > MAX_PATTERN:
        yield f"pattern: up to {MAX_PATTERN} characters"
        return
    if not _SAFE.fullmatch(pattern):
        yield "pattern: only characters, classes, repetitions of one of these, and groups of alternatives are possible"
        return
    bare = _CLASS.sub("x", pattern)
    if len(_VARIABLE.findall(bare)) > MAX_REPEATS or bare.count("(") > MAX_GROUPS:
        yield f"pattern: at most {MAX_REPEATS} repetitions and {MAX_GROUPS} groups, so that no number takes long"
        return
    try:
        re.compile(pattern)
    except (re.error, OverflowError) as error:
        yield f"pattern: is no regular expression: {error}"


# --- formats ------------------------------------------------------------------------------------------------------------


@lru_cache(4_096)
def _formatted(number: str, form: NumberFormat, country: str) -> str:
    """The number in that form; as it is where it is no telephone number, or one that is dialled as it is."""
    parsed = _parsed(number, country)
    return number if parsed is None else _FORMS[form](parsed, country)


def _parsed(number: str, country: str) -> PhoneNumber | None:
    if len(number) > MAX_NUMBER or not _NUMBER.fullmatch(number) or not number.isascii():
        return None
    if not number.startswith("+") and country and phonenumbers.connects_to_emergency_number(number, country):
        return None
    try:
        parsed = phonenumbers.parse(number, country or None)
    except phonenumbers.NumberParseException:
        return None
    if not number.startswith("+") and phonenumbers.is_valid_short_number_for_region(parsed, country):
        return None
    return parsed if _is_whole(parsed) else None


def _is_whole(parsed: PhoneNumber) -> bool:
    """Whether it has the length of a number that can be called from elsewhere."""
    reason = phonenumbers.is_possible_number_with_reason(parsed)
    return reason == phonenumbers.ValidationResult.IS_POSSIBLE


def _plus(parsed: PhoneNumber, country: str) -> str:
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _digits(parsed: PhoneNumber, country: str) -> str:
    return _plus(parsed, country).removeprefix("+")


def _international(parsed: PhoneNumber, country: str) -> str:
    metadata = PhoneMetadata.metadata_for_region(country, None) if country else None
    prefix = (metadata.preferred_international_prefix or metadata.international_prefix or "") if metadata else ""
    # several ways out, and none preferred: what is sure is the +
    return f"{prefix}{_digits(parsed, country)}" if prefix.isdigit() else _plus(parsed, country)


def _national(parsed: PhoneNumber, country: str) -> str:
    """As it is dialled in its country; a number of another country, as it is dialled from here."""
    if country and parsed.country_code != phonenumbers.country_code_for_region(country):
        return _international(parsed, country)
    text = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return "".join(letter for letter in text if letter.isdigit())


_FORMS = {"plus": _plus, "e164": _digits, "international": _international, "national": _national}
