"""Rows of the tables that the pages show, read from the code that they are about: options, events, states, statuses.

`extension` renders them, `tests/docs` checks that none is empty. Nothing here needs Sphinx. A row is a list of cells in
reStructuredText; the first row has the headings.
"""

from __future__ import annotations

import ast
import csv
import dataclasses
import importlib
import inspect
import itertools
import json
import types
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from trunkline import CallFailed, PeerType, errors, events
from trunkline.calls.failure import crossing_status
from trunkline.calls.link import BRIDGE, SESSION, Act, End, Happening, Stage
from trunkline.calls.plan import TABLE, Ending, Turning
from trunkline.media.emodel import CODECS
from trunkline.media.quality import Quality, Tally, leg_quality
from trunkline.media.tones import PLANS, Cadence
from trunkline.server import back_off, line_states
from trunkline.server.config import (
    DestinationOptions,
    GroupOptions,
    LineOptions,
    RouteOptions,
    ServerSettings,
    UserOptions,
)
from trunkline.server.line_settings import LineSettings
from trunkline.server.numbers import NumberRule
from trunkline.server.profile import profile, profile_names
from trunkline.trace.describe import event_name

__all__ = [
    "TABLES",
    "act_rows",
    "attribute_docs",
    "back_off_rows",
    "codec_rows",
    "enum_rows",
    "error_rows",
    "error_tree",
    "event_rows",
    "failure_rows",
    "impairment_quality",
    "impairment_rows",
    "impairments",
    "link_rows",
    "option_rows",
    "profile_rows",
    "rule_rows",
    "soak_rows",
    "state_rows",
    "tone_rows",
    "turn_rows",
]

Row = list[str]

DOCUMENTED: dict[type[Any], type[Any]] = {LineOptions: LineSettings}
"""Where the fields of an option class are documented, if not in itself."""

DECIDED_BY = {
    events.IncomingCall: "CallSession",
    events.RegisterUser: "RegisterRequest",
    events.ChatMessageReceived: "ChatMessage",
    events.TransferRequested: "TransferRequest",
}
"""What a handler is given where that is not the event."""

EVENT_MODULES = (
    events.call,
    events.transfer,
    events.registration,
    events.line,
    events.message,
    events.recording,
    events.record,
)
"""Where events are defined, in the order in which they are shown."""


def code(text: object) -> str:
    """A literal."""
    return f"``{text}``"


def attribute_docs(owner: type[Any]) -> dict[str, str]:
    """The strings below the attributes of a class, by name."""
    tree = ast.parse(Path(inspect.getsourcefile(owner) or "").read_text())
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == owner.__name__)
    found = {}
    for node, following in itertools.pairwise(body):
        if not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)):
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name):
            found[target.id] = inspect.cleandoc(str(following.value.value)).replace("\n", " ")
    return found


# --- options ------------------------------------------------------------------------------------------------------------

_PLAIN: dict[Any, str] = {
    str: "text",
    NumberRule: "number rule",
    int: "whole number",
    float: "number",
    bool: "true or false",
    SecretStr: "secret text",
    Path: "path",
    Decimal: "number",
    DestinationOptions: "destination",
}


def _limits(metadata: Iterable[Any]) -> str:
    said = []
    for each in metadata:
        if isinstance(each, FieldInfo):
            said.append(_limits(each.metadata))
            continue
        for name, words in (
            ("gt", "more than {}"),
            ("ge", "from {}"),
            ("le", "up to {}"),
            ("max_length", "up to {} characters"),
        ):
            value = getattr(each, name, None)
            if value is not None:
                said.append(words.format(f"{value:.10g}"))
        pattern = getattr(each, "pattern", None)
        if pattern:
            said.append(code(pattern))
    return ", ".join(part for part in said if part)


def _kind(hint: Any) -> str:
    """A type in words."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " or ".join(code(member.value) for member in hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        limits = _limits(arguments[1:])
        return f"{_kind(arguments[0])}, {limits}" if limits else _kind(arguments[0])
    if origin is Literal:
        return " or ".join(map(code, arguments))
    if origin in (typing.Union, types.UnionType):
        return _kind(next(each for each in arguments if each is not type(None)))
    if origin is tuple and arguments[-1] is ...:
        return f"list of {_kind(arguments[0])}"
    if origin is tuple:
        return f"{len(arguments)} values, each a {_kind(arguments[0])}"
    if origin is dict:
        return f"table of {_kind(arguments[1])}"
    raise TypeError(f"no words for the type {hint}")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.default
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(map(code, value))
    return code(value) if value != "" else "empty"


def option_rows(model: type[Any]) -> list[Row]:
    """The options of a class of `server.config`."""
    documented = attribute_docs(DOCUMENTED.get(model, model))
    rows = [["Option", "Value", "Default", "Meaning"]]
    for name, field in model.model_fields.items():
        shown = field.alias or name
        limits = _limits(field.metadata)
        kind = _kind(field.annotation) + (f", {limits}" if limits else "")
        rows.append([code(shown), kind, _default(field), documented.get(name, documented.get(shown, ""))])
    return rows


# --- tones --------------------------------------------------------------------------------------------------------------


def tone_rows() -> list[Row]:
    """The tone plans: frequencies, and seconds of sound and silence in turn."""
    rows = [["Country", "Tone", "Frequencies", "Sound and silence", "Source"]]
    for country, plan in PLANS.items():
        for name, cadence in plan.tones.items():
            rows.append([code(country), code(name), *_cadence(cadence), plan.source])
    return rows


def _cadence(cadence: Cadence) -> tuple[str, str]:
    frequencies = " + ".join(f"{each} Hz" for each in cadence[0].frequencies_hz)
    if len(cadence) == 1:
        return frequencies, "without a pause"
    return frequencies, ", ".join(f"{burst.seconds:g} s" for burst in cadence)


# --- quality ------------------------------------------------------------------------------------------------------------

IMPAIRMENTS = Path(__file__).parent / "impairments.csv"
"""Measured by `crates/media/src/leg/audio/impairments.rs`, which also tests that it is still so."""


def codec_rows() -> list[Row]:
    """What the E-model knows of codecs."""
    rows = [["Codec", "Scale", "Ie", "Bpl", "From ITU-T G.113 (09/2024)"]]
    for name, codec in CODECS.items():
        source = f"**estimate**: {codec.source}" if codec.estimated else codec.source
        rows.append([code(name), codec.scale, f"{codec.ie:g}", f"{codec.bpl:g}", source])
    return rows


def impairments(codec: str) -> list[dict[str, str]]:
    """What was measured of a codec, network by network."""
    with IMPAIRMENTS.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["codec"] == codec]


def impairment_quality(row: Mapping[str, str]) -> Quality:
    """What `call.quality` says of a measured network."""
    name, clock_rate = {"PCMA": ("PCMA", 8000), "G722": ("G722", 8000)}.get(row["codec"], ("opus", 48_000))
    counts = Tally(
        packets_received=int(row["received"]),
        packets_lost=int(row["lost"]),
        loss_bursts=int(row["bursts"]),
        packets_discarded=int(row["discarded"]),
        jitter_ms=float(row["jitter_ms"]),
        buffer_ms=float(row["delay_ms"]),
    )
    quality = leg_quality(counts, (name, clock_rate), None).received
    assert quality is not None
    return quality


def impairment_rows(codec: str) -> list[Row]:
    """A table of a codec: each network, what it cost, and the MOS of that."""
    rows = [
        ["Network", "Lost, too late", "Concealed", "Restored", "Jitter", "Delay: mean, most", "Intact", "Silent", "MOS"]
    ]
    for row in impairments(codec):
        network = f"{row['network']}, {row['percent']} %" if row["network"] != "none" else "nothing happens"
        rows.append(
            [
                network,
                f"{int(row['lost']) / int(row['sent']):.1%}, {int(row['discarded']) / int(row['sent']):.1%}",
                f"{row['concealed_percent']} %",
                f"{row['restored_percent']} %",
                f"{row['jitter_ms']} ms",
                f"{row['delay_ms']}, {row['most_delay_ms']} ms",
                f"{row['intact_percent']} %",
                f"{row['silent_percent']} %",
                f"{impairment_quality(row).mos:.2f}",
            ]
        )
    return rows


# --- events, enums, errors ------------------------------------------------------------------------------------------------


def event_rows(base: type[Any]) -> list[Row]:
    """The events below a base class of `trunkline.events`, by their handlers."""
    below = [kind for module in EVENT_MODULES for kind in vars(module).values() if _defined(kind, module, base)]
    rows = [["Handler", "It is given", "When"]]
    # a module's names are in the order of its text, which is the order in which the events happen
    for kind in below:
        if kind is base:
            continue
        given = f"`{DECIDED_BY.get(kind, kind.__name__)}`"
        if kind not in DECIDED_BY:
            given += ": " + ", ".join(field.name for field in dataclasses.fields(kind))
        rows.append([code(f"on_{event_name(kind)}"), given, _first(kind)])
    return rows


def _defined(kind: Any, module: types.ModuleType, base: type[Any]) -> bool:
    """Whether it is a class below a base that this module defines, rather than imports."""
    return inspect.isclass(kind) and issubclass(kind, base) and kind.__module__ == module.__name__


def _first(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")


def enum_rows(kind: type[Enum]) -> list[Row]:
    """The members of an enum, with their values and what is said of them."""
    documented = attribute_docs(kind)
    return [["Name", "Value", "Meaning"]] + [
        [
            code(member.name),
            code(int(member) if isinstance(member, IntEnum) else member.value),
            documented.get(member.name, ""),
        ]
        for member in kind
    ]


def error_tree() -> str:
    """The exceptions as a tree."""
    lines: list[str] = []

    def draw(kind: type[BaseException], depth: int) -> None:
        lines.append("    " * depth + kind.__name__)
        for below in kind.__subclasses__():
            if below.__module__ == errors.__name__:
                draw(below, depth + 1)

    draw(errors.TrunklineError, 0)
    return "\n".join(lines)


def error_rows() -> list[Row]:
    """Which status is which class of `CallFailed`."""
    found: dict[type[CallFailed], list[int]] = {}
    for status in range(300, 700):
        kind = type(CallFailed.of(status, ""))
        if kind is not CallFailed:
            found.setdefault(kind, []).append(status)
    rows = [["Status", "Exception", "Meaning"]]
    rows += [[", ".join(map(str, statuses)), f"`{kind.__name__}`", _first(kind)] for kind, statuses in found.items()]
    return [*rows, ["any other", "`CallFailed`", "its `status` and `reason` say which"]]


# --- calls ----------------------------------------------------------------------------------------------------------------


def link_rows(name: str) -> list[Row]:
    """One of the link tables: what happened on one channel by how far the other is."""
    table = {"SESSION": SESSION, "BRIDGE": BRIDGE}[name]
    stages = [stage for stage in Stage if any(at is stage for _, at in table)]
    said = attribute_docs(Happening)
    rows = [["On one channel", *(f"other {stage.name}" for stage in stages)]]
    for happening in Happening:
        acts = [table.get((happening, stage)) for stage in stages]
        if any(acts):
            heading = f"**{happening.name}**: {said[happening.name]}"
            rows.append([heading, *(_act(act) for act in acts)])
    return rows


def _act(act: Act | None) -> str:
    return act.name.lower().replace("_", " ") if act is not None else "nothing"


def act_rows() -> list[Row]:
    """What each cell of a link table means."""
    return [["Cell", "What is done to the other channel"]] + [
        [_act(act), _first(getattr(End, act.name.lower()))] for act in Act
    ]


def failure_rows() -> list[Row]:
    """What the caller is told of the status that the called side answered."""
    rows = [["Answered", "by a user's phone, the caller gets", "by a line's provider, the caller gets"]]
    redirected = {crossing_status(peer, status) for peer in PeerType for status in range(300, 400)}
    rows.append(["3xx that nobody followed", *([", ".join(map(str, redirected))] * 2)])
    for status in range(400, 700):
        user, line = (crossing_status(peer, status) for peer in (PeerType.USER, PeerType.LINE))
        if status not in (user, line) or user != line:
            rows.append([str(status), str(user), str(line)])
    return [*rows, ["any other", "the same", "the same"]]


def turn_rows() -> list[Row]:
    """What is tried after which failure."""
    rows = [["What failed", *(f"next of {_turning(each)}" for each in Turning), "Why"]]
    said = attribute_docs(Ending)
    for row in TABLE:
        what = said[row.ending.name].split(":")[0].rstrip(".")
        if row.ending is Ending.REFUSED:
            what = str(row.first) if row.first == row.last else f"{row.first} to {row.last}"
            what += ", after it rang" if row.rang else ""
        rows.append([what, *("yes" if each in row.next else "no" for each in Turning), row.why])
    return rows


def _turning(turning: Turning) -> str:
    return turning.name.lower()


# --- lines ----------------------------------------------------------------------------------------------------------------


def state_rows() -> list[Row]:
    """The registration of a line."""
    happenings, states = attribute_docs(line_states.Happening), attribute_docs(line_states.LineState)
    rows = [["State", "What happens", "Next state", "What is done"]]
    before = None
    for (state, happening), step in line_states.TABLE.items():
        meaning = states.get(state.name)
        shown = f"**{state.value}**" + (f": {meaning}" if meaning else "")
        rows.append(
            [
                shown if state is not before else "",
                happenings[happening.name].rstrip("."),
                step.state.value,
                ", ".join(action.name.lower().replace("_", " ") for action in step.actions),
            ]
        )
        before = state
    return rows


def back_off_rows() -> list[Row]:
    """How long a line waits after so many failures in a row."""
    rows = [["Failures in a row", "silence, transport error, 4xx, 5xx", "credentials refused"]]
    for failures in range(1, 8):
        waits = [schedule.wait_s(failures) for schedule in (back_off.OUTAGE, back_off.REFUSED)]
        rows.append([str(failures), *(f"{wait_s:g} s" for wait_s in waits)])
    return rows


def profile_rows() -> list[Row]:
    """Each rule of each provider profile, with the page that it comes from."""
    rows = [["Profile", "What the provider says", "Settings", "Page"]]
    for name in profile_names():
        preset = profile(name)
        for rule in preset.rules:
            settings = ", ".join(code(f"{key} = {_toml(value)}") for key, value in rule.settings.items())
            read = f"`page <{rule.page}>`__, read on {rule.read_on}"
            rows.append([f"{code(name)} {preset.title}", rule.says, settings, read])
    return rows


def _toml(value: Any) -> str:
    """A setting as it stands in a file."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(each)}' for key, each in value.items())} }}"
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


def rule_rows() -> list[Row]:
    """The parts of a number rule."""
    documented = attribute_docs(NumberRule)
    hints = typing.get_type_hints(NumberRule)
    rows = [["Key", "Value", "Meaning"]]
    for field in dataclasses.fields(NumberRule):
        kind = hints[field.name]
        choices = " or ".join(code(each) for each in typing.get_args(kind) if each)
        rows.append([code(field.name), choices or _PLAIN[kind], documented[field.name]])
    return rows


SOAKS = Path(__file__).parent / "soaks"
"""Where `make soak-mixed` writes its figures."""

RUNS = {"beside a run of all tests": "quiet.json", "machine that others load": "loaded.json"}
"""What each run is called, and its file."""

NOT_YET = "not run yet"

Figures = Mapping[str, Any]


def soak_rows() -> list[list[str]]:
    """The figures of the mixed soak, a column for each run."""
    runs = [_figures(SOAKS / name) for name in RUNS.values()]
    rows = [["", *RUNS]]
    for title, shown in _SHOWN.items():
        rows.append([title, *(shown(run) if run is not None else NOT_YET for run in runs)])
    return rows


def _figures(path: Path) -> Figures | None:
    return json.loads(path.read_text()) if path.exists() else None


def _counted(numbers: Mapping[str, int], key: Callable[[str], str]) -> str:
    counts: Counter[str] = Counter()
    for name, number in numbers.items():
        counts[key(name)] += number
    return ", ".join(f"{name} {number:,}" for name, number in sorted(counts.items(), key=lambda each: -each[1]))


def _grown(name: str) -> Callable[[Figures], str]:
    def shown(run: Figures) -> str:
        if name not in run:
            return "not measured"
        first, last = run[name][0], run[name][-1]
        return f"{first / 1e6:.1f} MB, {last / 1e6:.1f} MB: {last / first - 1:+.1%}"

    return shown


def _cpu(run: Figures) -> str:
    server, peers = run["server_cpu_s"] / run["wall_s"], run["peers"]["cpu_s"] / run["wall_s"]
    return f"{server:.0%} and {peers:.0%} of a core"


_SHOWN: dict[str, Callable[[Figures], str]] = {
    "Day, minutes, errands a second, seed": lambda run: (
        f"{run['day']}, {run['minutes']:g}, {run['rate']:g}, {run['seed']}"
    ),
    "Errands": lambda run: f"{run['peers']['errands']:,}",
    "Errands that went wrong or were stuck": lambda run: str(run["peers"]["failed"]),
    "Sessions, each closed once and recorded": lambda run: f"{run['sessions']:,}",
    "How they closed": lambda run: _counted(run["closed"], lambda name: name.partition(": ")[2].lower()),
    "Requests of peers that were answered": lambda run: _counted(
        run["peers"]["answered"], lambda name: name.partition(" ")[0]
    ),
    "Requests of peers that were not": lambda run: str(run["peers"]["unanswered"]),
    "Faults": lambda run: _counted(run["peers"]["faults"], str),
    "Packets that were lost on purpose": lambda run: f"{run['peers']['packets_lost']:,}",
    "Memory of the server in use after the first fifth and in the end": _grown("memory_used"),
    "The most that it had until then": _grown("memory_peak"),
    "Memory of the server as the system counts it": _grown("memory"),
    "CPU of the server and of all peers": _cpu,
    "Left over in the end": lambda run: "nothing",
}


def _named(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


TABLES: dict[str, Callable[[str], list[Row]]] = {
    "server-options": lambda argument: option_rows(ServerSettings),
    "user-options": lambda argument: option_rows(UserOptions),
    "line-options": lambda argument: option_rows(LineOptions),
    "route-options": lambda argument: option_rows(RouteOptions),
    "destination-options": lambda argument: option_rows(DestinationOptions),
    "group-options": lambda argument: option_rows(GroupOptions),
    "turns": lambda argument: turn_rows(),
    "events": lambda argument: event_rows(getattr(events, argument)),
    "enum": lambda argument: enum_rows(_named(argument)),
    "errors": lambda argument: error_rows(),
    "link": link_rows,
    "acts": lambda argument: act_rows(),
    "failures": lambda argument: failure_rows(),
    "line-states": lambda argument: state_rows(),
    "profiles": lambda argument: profile_rows(),
    "number-rules": lambda argument: rule_rows(),
    "back-off": lambda argument: back_off_rows(),
    "soak": lambda argument: soak_rows(),
    "tone-plans": lambda argument: tone_rows(),
    "codec-impairments": lambda argument: codec_rows(),
    "impairments": lambda argument: impairment_rows(argument.replace("-", " ")),
}
"""By name, as the directive `generated` has it."""
