import pytest


def requirement(*ids):
    """Names the requirements that a test proves; tools/test --requirements reads it."""
    return pytest.mark.requirement(ids)
