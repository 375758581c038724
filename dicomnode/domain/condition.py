"""Reads the conditions of rules and bundles, checks them against the DICOM dictionary and suggests what was meant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VR

from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.domain.header import tag_of
from dicomnode.domain.rule import Condition, Operator

#: Attributes of the association that a rule's `[rule.study]` may name beside DICOM keywords.
ASSOCIATION_KEYS = frozenset({"calling_aet", "called_aet", "peer"})

NUMBER_VRS = frozenset({"DS", "IS", "FL", "FD", "SS", "US", "SL", "UL", "SV", "UV"})
ORDERED_TEXT_VRS = frozenset({"AS", "DA", "TM", "DT"})


def parse_conditions(
    table: Mapping[str, Any], where: str, *, extra: frozenset[str] = frozenset()
) -> tuple[Condition, ...]:
    """Conditions of one table of the configuration, all of which have to hold.

    Parameters
    ----------
    table
        DICOM keyword, or keywords joined by dots for a path through sequences → a value that the attribute must
        equal, or a table of operators.
    where
        Key of the table, for messages.
    extra
        Names allowed beside DICOM keywords.

    Raises
    ------
    ConfigError
        With every fault of the table.
    """
    faults: list[Fault] = []
    conditions: list[Condition] = []
    for key, value in table.items():
        path = tuple(key.split("."))
        faults += _check_path(path, f"{where}.{key}", value, extra)
        conditions += _parse_value(path, value, f"{where}.{key}", faults)
    if faults:
        raise ConfigError(faults)
    return tuple(conditions)


def _parse_value(path: tuple[str, ...], value: Any, where: str, faults: list[Fault]) -> list[Condition]:
    if not isinstance(value, Mapping):
        value = {"equals": value}
    or_missing = value.get("or_missing", False)
    if not isinstance(or_missing, bool):
        faults.append(Fault(key=f"{where}.or_missing", value=or_missing, remedy="write true or false"))
    operators = {name: operand for name, operand in value.items() if name != "or_missing"}
    if not operators:
        faults.append(Fault(key=where, value=dict(value), remedy=f"name an operator: {', '.join(Operator)}"))
    conditions = []
    for name, operand in operators.items():
        if name not in set(Operator):
            faults.append(Fault(key=f"{where}.{name}", value=operand, remedy=_unknown(name, tuple(Operator))))
            continue
        operator = Operator(name)
        if operator is Operator.NOT:
            operand = tuple(_parse_value(path, operand, f"{where}.not", faults))
        else:
            remedy = _check_operand(path, operator, operand)
            if remedy:
                faults.append(Fault(key=f"{where}.{name}", value=operand, remedy=remedy))
            if isinstance(operand, list):
                operand = tuple(operand)
        conditions.append(Condition(path=path, operator=operator, operand=operand, or_missing=bool(or_missing)))
    return conditions


def _check_path(path: tuple[str, ...], where: str, value: Any, extra: frozenset[str]) -> list[Fault]:
    if len(path) == 1 and path[0] in extra:
        return []
    faults = []
    for position, keyword in enumerate(path):
        tag = tag_of(keyword)
        if not tag:
            remedy = _unknown(keyword, (*_keywords(), *extra), what="DICOM keyword")
            faults.append(Fault(key=where, value=value, remedy=remedy))
        elif position < len(path) - 1 and dictionary_VR(int(tag, 16)) != "SQ":
            remedy = f"{keyword} is not a sequence, so nothing can follow it"
            faults.append(Fault(key=where, value=value, remedy=remedy))
    return faults


def _check_operand(path: tuple[str, ...], operator: Operator, operand: Any) -> str:
    """What is wrong with an operand, or ""."""
    match operator:
        case Operator.ANY_OF:
            if not isinstance(operand, list) or not operand:
                return 'write a list of values: any_of = ["A", "B"]'
            return next((remedy for one in operand if (remedy := _check_value(path[-1], one))), "")
        case Operator.PRESENT | Operator.MISSING:
            return "" if operand is True else f"write {operator} = true"
        case Operator.MATCHES:
            try:
                re.compile(str(operand))
            except re.error as error:
                return f"not a regular expression: {error}"
            return ""
        case Operator.AT_LEAST | Operator.AT_MOST:
            return _check_order(path[-1], operand)
        case _:
            return _check_value(path[-1], operand)


def _check_value(keyword: str, value: Any) -> str:
    """A code string has upper case alone (VR CS, PS3.5 6.2), so another one would never match and never be missed."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return "write a text or a number"
    tag = tag_of(keyword)
    if tag and dictionary_VR(int(tag, 16)) == "CS" and str(value) != str(value).upper():
        return f'{keyword} is a code string, upper case alone (PS3.5 6.2); write "{str(value).upper()}", or use matches'
    return ""


def _check_order(keyword: str, operand: Any) -> str:
    tag = tag_of(keyword)
    vr = dictionary_VR(int(tag, 16)) if tag else "LO"
    if any(part in NUMBER_VRS for part in vr.split(" or ")):
        number = isinstance(operand, int | float) and not isinstance(operand, bool)
        return "" if number else f"{keyword} is a number; write one without quotes"
    if vr == "AS":
        return "" if re.fullmatch(r"\d{3}[DWMY]", str(operand)) else 'write an age such as "018Y" (PS3.5 AS)'
    if vr == "DA":
        return "" if re.fullmatch(r"\d{8}", str(operand)) else 'write a date such as "20260131" (PS3.5 DA)'
    if vr in ORDERED_TEXT_VRS:
        return "" if re.fullmatch(r"[\d.+-]+", str(operand)) else f"write a DICOM value of type {vr}"
    return f"{keyword} (VR {vr}) has no order; at_least and at_most need a number, age, date or time"


def _unknown(name: str, known: tuple[str, ...], what: str = "operator") -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"no such {what}" + (f"; did you mean {close[0]}?" if close else "")


@cache
def _keywords() -> tuple[str, ...]:
    return tuple(entry[4] for entry in DicomDictionary.values() if entry[4])
