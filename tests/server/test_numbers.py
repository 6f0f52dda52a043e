"""Number rules: which number they are for, what becomes of it, and that none takes long."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.server.numbers import MAX_NUMBER, NumberRule, rewritten, rule_of

DIGITS = st.text("0123456789", min_size=1, max_size=20)
GERMAN = st.from_regex(r"30[1-9][0-9]{5,7}", fullmatch=True)


@pytest.mark.parametrize(
    ("number", "rule", "becomes"),
    [
        ("0301234567", {"prefix": "0", "strip": 1, "prepend": "+49"}, "+49301234567"),
        ("90301234567", {"pattern": r"9\d+", "strip": 1}, "0301234567"),
        ("2066418000", {"pattern": r"[2-9]\d{9}", "prepend": "+1"}, "+12066418000"),
        ("12345", {"pattern": r"(123|124)\d*", "prepend": "#"}, "#12345"),
        ("030 1234567", {"format": "plus"}, "+49301234567"),
        ("+49301234567", {"format": "e164"}, "49301234567"),
        ("+49301234567", {"format": "national"}, "0301234567"),
        ("+49301234567", {"format": "international"}, "0049301234567"),
        ("0049301234567", {"format": "plus"}, "+49301234567"),
        ("+12066418000", {"format": "national"}, "0012066418000"),
        ("2066418000", {"format": "plus", "country": "US"}, "+12066418000"),
        ("+49301234567", {"format": "international", "country": "US"}, "01149301234567"),
    ],
)
def test_a_rule_rewrites_a_number(number: str, rule: dict[str, Any], becomes: str) -> None:
    assert rewritten(number, [NumberRule(**rule)], "DE") == becomes


@pytest.mark.parametrize(
    "number", ["110", "112", "alice", "*67", "#31#0301234567", "1800FLOWERS", "", "+", "0", "1" * 40]
)
@pytest.mark.parametrize("form", ["plus", "e164", "international", "national"])
def test_what_is_no_telephone_number_keeps_its_form(number: str, form: Any) -> None:
    assert rewritten(number, [NumberRule(format=form)], "DE") == number


@pytest.mark.parametrize(
    ("number", "country"),
    [("911", "US"), ("988", "US"), ("112", "DE"), ("116117", "DE"), ("11833", "DE"), ("1120", "AT")],
)
def test_short_numbers_and_what_the_network_takes_for_an_emergency_call_stay(number: str, country: str) -> None:
    assert rewritten(number, [NumberRule(format="plus")], country) == number


def test_a_number_that_is_too_long_goes_through_as_it_is() -> None:
    assert rewritten("1" * 64, [NumberRule(strip=1)]) == "1" * 63
    assert rewritten("1" * 65, [NumberRule(strip=1)]) == "1" * 65


def test_the_first_rule_that_is_for_a_number_is_the_only_one() -> None:
    rules = [
        NumberRule(prefix="00", strip=2, prepend="+"),
        NumberRule(prefix="0", strip=1, prepend="+49"),
        NumberRule(),
    ]
    assert [rewritten(number, rules) for number in ("0043123", "0301", "112")] == ["+43123", "+49301", "112"]


def test_a_rule_never_leaves_nothing_of_a_number() -> None:
    assert rewritten("123", [NumberRule(strip=3)]) == "123"


@given(st.text(min_size=1, max_size=300), st.sampled_from(["", "plus", "e164", "international", "national"]))
def test_any_text_of_any_length_goes_through(text: str, form: Any) -> None:
    result = rewritten(text, [NumberRule(format=form)], "DE")
    assert result
    if len(text) > MAX_NUMBER:
        assert result == text


@given(GERMAN)
def test_every_form_of_a_number_leads_to_the_same_one(subscriber: str) -> None:
    plus = f"+49{subscriber}"
    for form in ("plus", "e164", "international", "national"):
        written = rewritten(plus, [NumberRule(format=form)], "DE")
        back = written if form != "e164" else f"+{written}"
        assert rewritten(back, [NumberRule(format="plus")], "DE") == plus


@given(DIGITS, st.integers(0, 5), DIGITS)
def test_stripping_and_prepending_touch_the_front_alone(number: str, strip: int, prepend: str) -> None:
    assert NumberRule(strip=strip, prepend=prepend).apply(number) == prepend + number[strip:]


@given(
    st.builds(NumberRule, prefix=DIGITS, strip=st.integers(0, 9), prepend=DIGITS, country=st.sampled_from(["", "DE"]))
)
def test_a_rule_is_the_same_after_it_was_written_down(rule: NumberRule) -> None:
    assert rule_of(rule.data()) == rule


@pytest.mark.parametrize(
    "values",
    [
        {"pattern": "(a+)+"},
        {"pattern": "(1|11)*2"},
        {"pattern": r"\d*\d*\d*\d*x"},
        {"pattern": r"(1)\1"},
        {"pattern": "(?=1)1"},
        {"pattern": "["},
        {"pattern": "1{5,2}"},
        {"pattern": "1" * 101},
        {"strip": -1},
        {"prepend": "1;x=y"},
        {"prefix": "\r\n"},
        {"country": "XX"},
        {"format": "german"},
    ],
)
def test_what_could_take_long_or_break_an_address_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        NumberRule(**values)


def test_the_worst_pattern_that_is_let_through_ends() -> None:
    # 64**3 steps at most; an exponential one would outlast the test's limit by ages
    assert not NumberRule(pattern=r"\d*\d*\d*x").applies("1" * MAX_NUMBER)


@given(
    st.from_regex(re.compile(r"[0-9*+?(){}|\\d.\[\]]{0,20}"), fullmatch=True),
    st.text("0123456789", max_size=MAX_NUMBER),
)
def test_every_pattern_is_refused_or_ends(pattern: str, number: str) -> None:
    try:
        rule = NumberRule(pattern=pattern)
    except ValueError:
        return
    rule.applies(number)


def test_an_unknown_key_of_a_rule_is_named() -> None:
    with pytest.raises(ValueError, match="unknown key strp"):
        rule_of({"strp": 1})
