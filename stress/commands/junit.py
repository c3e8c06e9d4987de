"""Cases as JUnit XML, which CI servers read: a suite for each design, chapter or file, a test for each case in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import click
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from stress import __version__
from stress.commands.json_output import command_given
from stress.report.about import about
from stress.report.case import ERROR, OPEN, Case

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
LONGEST_LINE = 300
"""Characters of the message of a failure; the text below it has all."""


def _clean(text: str) -> str:
    """A text without what XML cannot hold."""
    return _NOT_IN_XML.sub("?", text)


def junit_xml(cases: Sequence[Case], is_known: Callable[[Case], bool], seconds: float) -> bytes:
    """Return the file. A failure that is known is a skipped test, and so is what was not settled.

    ``seconds``: how long the command took; it stands with the first case.
    """
    context = click.get_current_context()
    made = about(__version__, command_given(context), context.params.get("seed"))
    suites: dict[str, TestSuite] = {}
    for case in cases:
        if case.of not in suites:
            suite = suites[case.of] = TestSuite(_clean(f"pte-stress {context.info_name} {case.of}"))
            suite.timestamp = made["date"].removesuffix("+00:00")
            for name in ("command", "version", "kernel", "seed"):
                if made[name] is not None:
                    suite.add_property(name, _clean(str(made[name])))
        test = _test(case, is_known(case), f"pte-stress.{context.info_name}.{_clean(case.of)}")
        if case is cases[0]:
            test.time = seconds
        suites[case.of].add_testcase(test)
    whole = JUnitXml("pte-stress")
    for suite in suites.values():
        suite.update_statistics()
        whole.add_testsuite(suite)
    whole.update_statistics()
    text = whole.tostring()
    return text if isinstance(text, bytes) else text.encode()


def _test(case: Case, known: bool, classname: str) -> TestCase:
    test = TestCase(_clean(case.name), classname=classname)
    says = _clean(case.says)
    line = " ".join((says or case.state).split())[:LONGEST_LINE]
    if known:
        test.result = [Skipped(f"known: {line}")]
    elif case.state == OPEN:
        test.result = [Skipped(line)]
    elif case.failed:
        result = (Error if case.state == ERROR else Failure)(line, case.name)
        result.text = says
        test.result = [result]
    return test
