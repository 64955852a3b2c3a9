"""Gathers the report over all scripts and prints its summary at the end of the run."""

from pathlib import Path

import pytest

from differential.report import Report

REPORT = Path(__file__).parents[2] / "target" / "differential.md"


@pytest.fixture(scope="session")
def report(request):
    collected = Report()
    request.config.differential_report = collected
    yield collected
    collected.write(REPORT)


def pytest_terminal_summary(terminalreporter, config):
    report = getattr(config, "differential_report", None)
    if report is not None:
        terminalreporter.section("against Python Keystone")
        terminalreporter.line(report.summary())
        terminalreporter.line(f"every difference: {REPORT}")
