"""The table of mapped assertions that the Rust tests read is what Python Keystone 30 says today."""

import pathlib

import pytest

pytest.importorskip("keystone", reason="needs keystone==30.0.0")

import mapping_table  # noqa: E402

TABLE = pathlib.Path(__file__).resolve().parents[2] / "host/model/tests/mapping_cases.json"


def test_the_table_of_mapped_assertions_is_current():
    assert mapping_table.render(mapping_table.table()) == TABLE.read_text()
