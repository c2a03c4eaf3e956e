"""The data filter of a zero-ETL integration: its grammar, what it takes of a catalogue, and the filter of wanted tables.

Pure: it knows names and the grammar of the filter, neither AWS nor a database.
"""

from __future__ import annotations

from etl_manager.zero_etl.compile import compile_filter
from etl_manager.zero_etl.evaluate import ClusterTables, FilterComparison, RegexSemantics, Table, compare_filter
from etl_manager.zero_etl.filter import FilterError, Pattern, parse, render

__all__ = [
    "ClusterTables",
    "FilterComparison",
    "FilterError",
    "Pattern",
    "RegexSemantics",
    "Table",
    "compare_filter",
    "compile_filter",
    "parse",
    "render",
]
