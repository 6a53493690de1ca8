"""The JUnit report, as GitLab, Jenkins and others read it: a test case for each image, a suite for each host.

JUnit XML has no standard; this is what the parsers have in common. GitLab shows the class name as the suite, takes the
cause from the *text* of a failure, and keeps only the first of two cases with the same name.
"""

import re
from datetime import timedelta
from xml.etree import ElementTree as ET

from puller.model import PullOutcome, Report, Status
from puller.report.hosts import by_host
from puller.report.words import KEPT, advice, is_bad_line, reason, status_words
from puller.text import clean, timestamp

_ILLEGAL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not allow, not even escaped."""
_NOT_OK = {Status.FAILED: "failure", Status.CANCELLED: "error", Status.PENDING: "error"}
"""A cancelled image is not a skipped test: readers count those as passed, and the image is missing or not updated."""
_NOT_PULLED = (Status.UP_TO_DATE, Status.PRESENT)


def render(report: Report, *, skip_up_to_date: bool = False) -> str:
    """Return JUnit XML; with `skip_up_to_date`, images that needed no pull are skipped tests instead of passed ones."""
    used: dict[tuple[str, str], int] = {}
    times = {host.name: (host.began, host.seconds) for host in report.fleet.hosts} if report.fleet else {}
    root = ET.Element("testsuites", name="puller")
    for host, outcomes in (by_host(report.outcomes) or {None: []}).items():
        suite = ET.SubElement(root, "testsuite", name=_legal(clean(host)) if host else "puller")
        for outcome in outcomes:
            suite.append(_case(outcome, used, skip=skip_up_to_date and outcome.status in _NOT_PULLED))
        began, seconds = times.get(host or "", (0.0, report.seconds))
        started = timestamp(report.started + timedelta(seconds=began)).removesuffix("Z")
        # Ant's schema, the origin of all others, has no time zone here.
        suite.attrib |= _counts(suite) | {"time": f"{seconds:.3f}", "timestamp": started}
        suite.set("skipped", str(_number(suite, "skipped")))
    root.attrib |= _counts(root) | {"time": f"{report.seconds:.3f}"}
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _counts(suite: ET.Element) -> dict[str, str]:
    """Return the counts of a suite, or of all suites."""
    return {
        "tests": str(len([*suite.iter("testcase")])),
        "failures": str(_number(suite, "failure")),
        "errors": str(_number(suite, "error")),
    }


def _number(suite: ET.Element, result: str) -> int:
    return len(suite.findall(f".//testcase/{result}"))


def _case(outcome: PullOutcome, used: dict[tuple[str, str], int], *, skip: bool) -> ET.Element:
    registry = _registry(outcome)
    group = f"{clean(outcome.host)} {registry}" if outcome.host else registry
    names = (_legal(group), _legal(clean(str(outcome)) or "-"))
    used[names] = number = used.get(names, 0) + 1
    label = names[1] if number == 1 else f"{names[1]} ({number})"
    case = ET.Element("testcase", classname=names[0], name=label, time=f"{outcome.took:.3f}")
    if skip:
        ET.SubElement(case, "skipped", message=status_words(outcome.status))
    elif result := _NOT_OK.get(outcome.status):
        case.append(_result(result, outcome))
    if outcome.warning:
        ET.SubElement(case, "system-out").text = _legal(f"warning: {clean(outcome.warning)}")
    return case


def _registry(outcome: PullOutcome) -> str:
    return "image list" if is_bad_line(outcome) else clean(outcome.reference.partition("/")[0])


def _result(result: str, outcome: PullOutcome) -> ET.Element:
    element = ET.Element(result)
    if why := outcome.failure:
        element.attrib |= {"type": why.kind.value, "message": _legal(clean(why.message))}
        element.text = "\n".join(map(_legal, (reason(why), *([KEPT] if outcome.kept else []), *advice(why))))
    return element


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
