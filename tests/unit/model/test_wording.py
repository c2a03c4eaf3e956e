"""One thing is no things."""

from __future__ import annotations

import pytest

from etl_manager.wording import number_of


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 tenants"), (1, "1 tenant"), (2, "2 tenants"), (1000, "1,000 tenants")]
)
def test_noun_follows_its_number(count, told):
    """Only one is singular."""
    assert number_of(count, "tenant") == told
