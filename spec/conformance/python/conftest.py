"""What every client's cases share: where the broker is, names that nobody else uses, and records that can be told apart."""
import os
import uuid

import pytest


@pytest.fixture(scope="session")
def bootstrap():
    return os.environ["MILLRUN_BOOTSTRAP"]


@pytest.fixture
def name(request):
    """A name for topics, groups and ids of one case. It holds no parameter's brackets: topics may not."""
    return f"{request.node.originalname}-{uuid.uuid4().hex[:8]}".replace("test_", "py-", 1)


@pytest.fixture
def ours():
    """Marks what is true of millrun but not of the Kafka that the suite is compared with."""
    if not os.environ.get("MILLRUN_HTTP"):
        pytest.skip("what millrun alone does")
