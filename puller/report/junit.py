"""The JUnit report: one test case for each image, as GitLab, Jenkins and their kin read it.

There is no one standard; this is what their parsers have in common. GitLab shows the class name as the suite, takes the
cause from the *text* of a failure, and of two cases with the same names keeps the first only.
"""

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from puller.failure import Failure
from puller.model import PullOutcome, Report, Status
from puller.report.words import is_bad_line, name, words
from puller.text import clean, timestamp

_ILLEGAL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""
_NOT_OK = {Status.FAILED: "failure", Status.CANCELLED: "error"}
"""A cancelled image is no skipped test: consumers count that as good, and the image is not there."""
_NOTHING_DONE = (Status.UP_TO_DATE, Status.PRESENT)


def render(report: Report, *, skip_up_to_date: bool = False) -> str:
    """Write the report as JUnit XML; with `skip_up_to_date`, what needed no pull counts as skipped, not as passed."""
    suite = ET.Element("testsuite", name="puller")
    taken: dict[tuple[str, str], int] = {}
    for outcome in report.outcomes:
        suite.append(_case(outcome, taken, skip=skip_up_to_date and outcome.status in _NOTHING_DONE))
    seconds = f"{report.seconds:.3f}"
    # Ant's schema, from which all others come, has no time zone here.
    suite.attrib |= _counts(suite) | {"time": seconds, "timestamp": timestamp(report.started).removesuffix("Z")}
    suite.set("skipped", str(_number(suite, "skipped")))
    root = ET.Element("testsuites", {"name": "puller", **_counts(suite), "time": seconds})
    root.append(suite)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _counts(suite: ET.Element) -> dict[str, str]:
    return {
        "tests": str(len(suite)),
        "failures": str(_number(suite, "failure")),
        "errors": str(_number(suite, "error")),
    }


def _number(suite: ET.Element, result: str) -> int:
    return len(suite.findall(f"testcase/{result}"))


def _case(outcome: PullOutcome, taken: dict[tuple[str, str], int], *, skip: bool) -> ET.Element:
    names = (_legal(_host(outcome)), _legal(name(outcome)))
    taken[names] = number = taken.get(names, 0) + 1
    label = names[1] if number == 1 else f"{names[1]} ({number})"
    case = ET.Element("testcase", classname=names[0], name=label, time=f"{outcome.seconds:.3f}")
    if skip:
        ET.SubElement(case, "skipped", message=words(outcome.status))
    elif result := _NOT_OK.get(outcome.status):
        case.append(_result(result, outcome.failure))
    return case


def _host(outcome: PullOutcome) -> str:
    return "image list" if is_bad_line(outcome) else clean(outcome.reference.partition("/")[0])


def _result(result: str, why: Failure | None) -> ET.Element:
    element = ET.Element(result)
    if why:
        element.attrib |= {"type": why.kind.value, "message": _legal(clean(why.message))}
        element.text = "\n".join(map(_legal, _lines(why)))
    return element


def _lines(why: Failure) -> Iterable[str]:
    yield f"{why.kind}: {clean(why.message)}"
    yield clean(why.advice)
    if why.until:
        yield f"It will pass at {timestamp(why.until)}."


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
