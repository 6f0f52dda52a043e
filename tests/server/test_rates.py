"""Prices by prefix: the longest prefix counts, and a table that is wrong says where."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import ConfigurationError
from trunkline.server.rates import normal, price_of, read_rates

DIGITS = st.text("0123456789", max_size=8)


@given(st.dictionaries(DIGITS, st.integers(0, 99).map(Decimal), max_size=30), DIGITS)
def test_the_price_is_that_of_the_longest_prefix(prices: dict[str, Decimal], number: str) -> None:
    fitting = sorted((prefix for prefix in prices if number.startswith(prefix)), key=len)
    assert price_of(prices, number) == (prices[fitting[-1]] if fitting else None)
    assert price_of(prices, f"+{number}") == price_of(prices, number)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rates.csv"
    path.write_text(text)
    return path


def test_a_file_has_its_columns_in_any_order(tmp_path: Path) -> None:
    path = write(tmp_path, "price,line,note,prefix\n0.012,a,x,+49\n 0.5 , a ,,\n0.02,b,y,49 30\n")
    assert read_rates(path, "k") == {"a": {"49": Decimal("0.012"), "": Decimal("0.5")}, "b": {"4930": Decimal("0.02")}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "lacks the column line"),
        ("line,prefix\na,1\n", "lacks the column price"),
        ("line,prefix,price\na,49,0.1\na,+49,0.2\n", "rates.csv:3: the prefix +49 stands twice"),
        ("line,prefix,price\na,49,cheap\n", "rates.csv:2: 'cheap' is no price"),
        ("line,prefix,price\na,49\n", "rates.csv:2: None is no price"),
        ("line,prefix,price\na,49,-1\n", "rates.csv:2: -1 is no price"),
        ("line,prefix,price\na,49,NaN\n", "rates.csv:2: NaN is no price"),
        ("line,prefix,price\na,4x,1\n", "rates.csv:2: '4x' is no prefix"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_rates(write(tmp_path, text), "line_groups.g.rates_file")
    assert str(caught.value).startswith("line_groups.g.rates_file: ")
    assert problem in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_rates(tmp_path / "none.csv", "k")
    (tmp_path / "bytes.csv").write_bytes(b"line,prefix,price\n\xff,1,1\n")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_rates(tmp_path / "bytes.csv", "k")


def test_a_table_in_the_configuration_is_checked_alike() -> None:
    assert normal({"a": {"+49": Decimal(1)}}, "k") == {"a": {"49": Decimal(1)}}
    with pytest.raises(ConfigurationError, match=r"k.a: '\*1' is no prefix"):
        normal({"a": {"*1": Decimal(1)}}, "k")
    with pytest.raises(ConfigurationError, match="stands twice"):
        normal({"a": {"+49": Decimal(1), "49": Decimal(2)}}, "k")
