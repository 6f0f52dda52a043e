"""What a call over a line costs, by the prefix of the number: a table of prices, from TOML, from code or from a CSV file.

`groups` asks it in which order to try lines. Prices are decimal numbers of whatever unit and currency, the same for all
lines; only their order matters.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path

from trunkline.errors import ConfigurationError

__all__ = ["Rates", "price_of", "read_rates"]

Rates = Mapping[str, Mapping[str, Decimal]]
"""Price by prefix, by line. The prefix "" stands for every number."""

MAX_ROWS = 1_000_000
COLUMNS = ("line", "prefix", "price")


_SPELLING = str.maketrans("", "", " +-.()/")


def digits(number: str) -> str:
    """A number or prefix as it is compared: without the + of an international number and without signs of spelling."""
    return number.translate(_SPELLING)


def price_of(prices: Mapping[str, Decimal], number: str) -> Decimal | None:
    """The price of the longest prefix that the number begins with; None where there is none.

    Args:
        prices: Of one line, by prefix as `digits` leaves it.
        number: The number, with its country code where that is known.
    """
    dialled = digits(number)
    for length in range(len(dialled), -1, -1):
        price = prices.get(dialled[:length])
        if price is not None:
            return price
    return None


def normal(rates: Rates, key: str) -> dict[str, dict[str, Decimal]]:
    """The rates with prefixes as they are compared. ConfigurationError where one is none, or stands twice."""
    table: dict[str, dict[str, Decimal]] = {}
    for line, prices in rates.items():
        for prefix, price in prices.items():
            _enter(table, line, prefix, price, f"{key}.{line}")
    return table


def read_rates(path: Path, key: str) -> dict[str, dict[str, Decimal]]:
    """Read a CSV file with the columns `line`, `prefix` and `price`, in any order.

    Args:
        path: The file, in UTF-8.
        key: What the errors' keys begin with.

    Raises:
        ConfigurationError: It cannot be read, or the first row that is wrong.
    """
    table: dict[str, dict[str, Decimal]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
            if missing:
                raise ConfigurationError(key, f"{path}: the first row lacks the column {missing[0]}")
            for row in rows:
                where = f"{path}:{rows.line_num}"
                if rows.line_num > MAX_ROWS:
                    raise ConfigurationError(key, f"{where}: more than {MAX_ROWS} rows")
                line, prefix = (row["line"] or "").strip(), (row["prefix"] or "").strip()
                _enter(table, line, prefix, _price(row["price"], key, where), key, where)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(key, f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return table


def _price(text: str | None, key: str, where: str) -> Decimal:
    try:
        return Decimal((text or "").strip())
    except InvalidOperation:
        raise ConfigurationError(key, f"{where}: {text!r} is no price, as 0.012") from None


def _enter(
    table: dict[str, dict[str, Decimal]], line: str, prefix: str, price: Decimal, key: str, where: str = ""
) -> None:
    place = f"{where}: " if where else ""
    compared = digits(prefix)
    if compared and not compared.isdecimal():
        raise ConfigurationError(key, f"{place}{prefix!r} is no prefix of a number, as 4930 or +4930")
    if not price.is_finite() or price < 0:
        raise ConfigurationError(key, f"{place}{price} is no price, as 0.012")
    prices = table.setdefault(line, {})
    if compared in prices:
        raise ConfigurationError(key, f"{place}the prefix {prefix or 'of every number'} stands twice")
    prices[compared] = price
