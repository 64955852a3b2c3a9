"""The table of policy decisions that the Rust tests read is what Python Keystone 30 says today."""

import pathlib

import pytest

pytest.importorskip("keystone", reason="needs keystone==30.0.0")

import policy_table  # noqa: E402

TABLE = pathlib.Path(__file__).resolve().parents[2] / "host/model/tests/policy_cases.json"


def test_the_table_of_policy_decisions_is_current():
    assert policy_table.render(policy_table.table()) == TABLE.read_text()
