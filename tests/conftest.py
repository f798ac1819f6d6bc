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


@pytest.fixture(scope="session")
def docs_site(tmp_path_factory):
    """The documentation site of a small repository."""
    pytest.importorskip("sphinx", reason="Sphinx is not installed: pip install --group docs")
    import docs
    from small_docs import write_tree

    tree = write_tree(tmp_path_factory.mktemp("tree"))
    assert docs.build(tree) == []
    return tree / "_docs"
