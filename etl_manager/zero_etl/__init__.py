"""The data filter of a zero-ETL integration: compiled from wanted tables, evaluated, judged.

Pure: it knows names and the grammar of the filter, neither AWS nor a database.
"""

from __future__ import annotations

from etl_manager.zero_etl.compile import CompiledFilter, compile_filter
from etl_manager.zero_etl.evaluate import Ambiguity, Catalogue, Reading, Table
from etl_manager.zero_etl.grammar import parse, render
from etl_manager.zero_etl.judge import Judgement, judge_filter
from etl_manager.zero_etl.pattern import FilterError, Pattern

__all__ = [
    "Ambiguity",
    "Catalogue",
    "CompiledFilter",
    "FilterError",
    "Judgement",
    "Pattern",
    "Reading",
    "Table",
    "compile_filter",
    "judge_filter",
    "parse",
    "render",
]
