"""What several test files share."""
import pytest


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of sixteen small photographs."""
    from worker import draw_pictures

    return draw_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def whole(pictures, tmp_path_factory):
    """The run of `worker.RECIPE` that nobody interrupted."""
    from worker import Work

    from srfast.training.runs import Run

    out = tmp_path_factory.mktemp("whole")
    assert Work(pictures, out).end() == "done"
    return Run(out)
