"""Data from everywhere: sets fetched from a server, pairs, files of patches, and trainings on each."""
import json
import shutil
import threading
import zipfile
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image
from worker import RECIPE, at, crash, same_weights

from srfast.data import datasets
from srfast.core import ImageError
from srfast.data.pairs import find_pictures, read_rgb
from srfast.data.datasets import Archive, NamedSet, find_set
from srfast.images.degrade import Degradation
from srfast.training.gan import GanRecipe
from srfast.training.recipes import get_recipe
from srfast.images.resize import imresize
from srfast.training.runs import Run
from srfast.data.patches import write_patches
from srfast.data.splits import keep_out, read_split
from srfast.training.stages import Stage
from srfast.training.trainer import Recipe, train
from srfast.training.workflow import kept_out, run_workflow

SHORT = replace(RECIPE, stages=(replace(RECIPE.stages[0], epochs=2),))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args): pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder on this machine's own web server, an empty data folder, and a set `tiny` that comes from there."""
    (tmp_path / "site").mkdir()
    monkeypatch.setenv("SRFAST_DATA", str(tmp_path / "data"))
    with ThreadingHTTPServer(("localhost", 0), partial(Quiet, directory=str(tmp_path / "site"))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        url = f"http://localhost:{http.server_port}/tiny.zip"
        monkeypatch.setitem(datasets.SETS, "tiny", NamedSet("train/tiny", 4, "free", (Archive(url, ("*.png",)),)))
        yield tmp_path
        http.shutdown()


def pack(pictures, path, n=4):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(pictures.iterdir())[:n]:
            archive.write(file, f"tiny/{file.name}")


def test_a_set_is_fetched_once_and_unpacked(server, pictures):
    pack(pictures, server / "site/tiny.zip")
    folder = find_set("tiny")
    assert folder == server / "data/train/tiny" and len(list(folder.glob("*.png"))) == 4
    (server / "site/tiny.zip").unlink()
    assert find_set("tiny") == folder
    assert not list((server / "data").rglob(".*"))


def test_another_file_under_the_same_name_is_refused(server, pictures):
    pack(pictures, server / "site/tiny.zip")
    shutil.rmtree(find_set("tiny"))
    (server / "data/archives/tiny.zip").unlink()
    pack(pictures, server / "site/tiny.zip", 3)
    with pytest.raises(ImageError, match="the file is damaged or a different one"):
        find_set("tiny")
    assert not (server / "data/archives/tiny.zip").exists() and not (server / "data/train/tiny").exists()


def test_a_published_hash_is_checked(server, pictures, monkeypatch):
    pack(pictures, server / "site/tiny.zip")
    archive = replace(datasets.SETS["tiny"].archives[0], hash="md5:" + "0" * 32)
    monkeypatch.setitem(datasets.SETS, "tiny", replace(datasets.SETS["tiny"], archives=(archive,)))
    with pytest.raises(ImageError, match="expected md5 0000"):
        find_set("tiny")


def test_without_a_net_it_says_what_to_put_where(server):
    with pytest.raises(ImageError) as told:
        find_set("tiny")
    assert "cannot be downloaded" in str(told.value) and "put its 4 images into" in str(told.value)
    assert str(server / "data/archives") in str(told.value)
    assert not (server / "data/train").exists()


def test_an_archive_without_its_pictures(server):
    with zipfile.ZipFile(server / "site/tiny.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing here")
    with pytest.raises(ImageError, match="expected images"):
        find_set("tiny")
    assert not (server / "data/train/tiny").exists()


def test_a_training_from_a_name_a_pair_of_folders_and_a_file(server, pictures):
    pack(pictures, server / "site/tiny.zip", 10)
    named = train(SHORT, "tiny", server / "named", progress=False)
    small = server / "small"
    small.mkdir()
    for file in (server / "data/train/tiny").iterdir():
        hr = Image.open(file).convert("RGB")
        w, h = (n - n % SHORT.scale for n in hr.size)
        hr = np.asarray(hr.crop((0, 0, w, h)))
        Image.fromarray(imresize(hr, 1 / SHORT.scale)).save(small / f"{file.stem}x{SHORT.scale}.png")
    pairs = train(SHORT, (small, "tiny"), server / "pairs", progress=False)
    assert same_weights(pairs.path, named.path)
    write_patches(server / "data/train/tiny", server / "tiny.h5", size=SHORT.stages[0].size, scale=SHORT.scale, progress=False)
    patches = train(SHORT, server / "tiny.h5", server / "patches", progress=False)
    assert len(patches.history) == 2
    assert json.loads((patches.path / "run.json").read_text())["data"]["pictures"] == 10


@pytest.fixture
def given(pictures, tmp_path):
    """Two folders of pairs whose small pictures are far darker than shrunken originals, and a file of the latter."""
    (tmp_path / "small").mkdir()
    for file in pictures.iterdir():
        hr = np.asarray(Image.open(file).convert("RGB"))
        hr = hr[:hr.shape[0] // 2 * 2, :hr.shape[1] // 2 * 2]
        Image.fromarray(imresize(hr, 1 / 2) // 4).save(tmp_path / f"small/{file.name}")
    return (tmp_path / "small", pictures), write_patches(pictures, tmp_path / "patches.h5", size=32, scale=2, progress=False)


def test_given_small_pictures_are_learned_from_as_they_are(given):
    recipe = get_recipe("photo_further", 2)
    for data in given:
        with pytest.warns(UserWarning, match="low-resolution images are given") as told:
            split = recipe.read(data)
        plain = replace(recipe, drawn=0, shrunk=()).read(data)
        assert len(told) == 1 and "drawn" not in split.metadata and len(split.train) == len(plain.train)
    assert all(pair.lr_img.max() < 64 for pair in recipe.read(given[0]).train)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("suffix", ["tif", "png", "jpg"])
def test_an_original_on_its_side_pairs_with_its_small_copy(suffix, orientation, tmp_path):
    upright = np.full((120, 160, 3), 90, np.uint8)
    upright[:40, :40] = 200
    tags = Image.Exif()
    tags[274] = orientation
    for name in ("hr", "lr"): (tmp_path / name).mkdir()
    for n in range(2):
        stored = np.rot90(upright, {1: 0, 3: 2, 6: 1, 8: 3}[orientation])
        Image.fromarray(stored).save(tmp_path / f"hr/{n}.{suffix}", exif=tags)
        Image.fromarray(imresize(upright, 1 / 2)).save(tmp_path / f"lr/{n}.png")
    split = read_split((tmp_path / "lr", tmp_path / "hr"), (2,))
    pair = split.train[0]
    assert pair.hr.shape == (120, 160, 3) and pair.lr_img.shape == (60, 80, 3)
    assert np.abs(pair.hr.astype(int) - upright).max() <= (8 if suffix == "jpg" else 0)


@pytest.mark.parametrize("kinds", [(True, False), (False, True), (True, True)])
def test_given_small_pictures_are_not_shrunk_by_the_recipe(kinds, given, tmp_path):
    mixed = replace(RECIPE, stages=[replace(stage, whole=whole) for stage, whole in zip(RECIPE.stages, kinds)])
    for data in given:
        with pytest.raises(ValueError, match="a folder of originals only"):
            train(mixed, data, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_degradation_goes_on_to_the_bit_and_another_one_is_refused(pictures, tmp_path):
    worse = replace(RECIPE, degradation=Degradation(blur=(0, 2), noise=(0, 20), jpeg=(40, 90)))
    whole = train(worse, pictures, tmp_path / "whole", progress=False)
    with pytest.raises(RuntimeError, match="crash"):
        train(worse, pictures, tmp_path / "broken", progress=False, checkpoint_minutes=0, cbs=[at(13, "after_batch", crash)()])
    train(worse, pictures, tmp_path / "broken", progress=False, checkpoint_minutes=0)
    assert same_weights(tmp_path / "broken", whole.path)
    assert not same_weights(train(RECIPE, pictures, tmp_path / "clean", progress=False).path, whole.path)
    with pytest.raises(ValueError, match="degradation"):
        train(replace(worse, degradation=Degradation(blur=1)), pictures, tmp_path / "whole", progress=False)


def test_broken_pictures_are_counted_and_the_rest_is_learned(pictures, tmp_path, capsys):
    folder = shutil.copytree(pictures, tmp_path / "some")
    for n in range(7):
        (folder / f"bad{n}.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"7 of \d+ images cannot be used") as told:
        run = train(SHORT, folder, tmp_path / "run")
    assert str(told[0].message).count("bad") == 5
    assert "7 skipped" in capsys.readouterr().err
    assert len(Run(run.path).history) == 2


def test_results_can_be_shown(pictures):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    split, net = RECIPE.read(pictures), RECIPE.create()
    learn = RECIPE.learner(net, split)
    learn.dls.show_batch(max_n=2)
    assert len(plt.gcf().axes) == 4
    learn.show_results(max_n=1)
    assert [ax.get_title() for ax in plt.gcf().axes] == ["low", "result", "original"]
    plt.close("all")


@pytest.mark.parametrize("kind", ["uint16", "int32", "float32"])
def test_deep_greys_are_read_as_they_look(kind, tmp_path):
    grey = np.arange(1024, dtype=np.uint16).reshape(32, 32) * 64
    Image.fromarray((grey / 65535 if kind == "float32" else grey).astype(kind)).save(tmp_path / "a.tif")
    read = read_rgb(tmp_path / "a.tif")
    assert read.shape == (32, 32, 3) and np.abs(read[..., 0] - grey / 257).max() <= .51


def test_a_run_among_its_pictures_goes_on(pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "photos")
    count = len(find_pictures(tmp_path / "photos"))
    for _ in range(2): train(SHORT, tmp_path / "photos", tmp_path / "photos/run", progress=False)
    assert find_pictures(tmp_path / "photos/run/samples") and len(find_pictures(tmp_path / "photos")) == count


def test_the_workflow_measures_on_what_was_not_learned(pictures, tmp_path):
    for name in "ab": shutil.copytree(pictures, tmp_path / name)
    for file in list(tmp_path.rglob("coffee*.png")): file.write_bytes(b"broken")
    with pytest.warns(UserWarning, match="8 of 32"):
        split = RECIPE.read(tmp_path)
    kept = kept_out(RECIPE, tmp_path, 32)
    originals = [read_rgb(tmp_path / name[0] / f"{name[2:]}.png") for name in kept]  # a_NAME and b_NAME
    assert len(kept) == len(split.valid) == RECIPE.n_valid
    assert {hr[:90, :90].tobytes() for hr in originals} == {pair.hr[:90, :90].tobytes() for pair in split.valid}


def test_the_workflow_takes_small_pictures(pictures, tmp_path):
    folder, full = shutil.copytree(pictures, tmp_path / "faces"), get_recipe("faces_unet_gan_small")
    stages = [replace(stage, size=64, bs=2, epochs=1, steps=2, loss="l1", whole=True) for stage in (full.stages[0], full.stages[-1])]
    tiny = replace(full, stages=stages, options={"width": 4}, critic="fastai", critic_options={"width": 8}, n_valid=3, shrunk=())
    second = Recipe("second", "lr_unet", 2, (Stage(size=32, bs=2, epochs=1, steps=2),), {"width": 4}, n_valid=3)
    small = keep_out(find_pictures(folder), 3, 0)[1][0]
    Image.open(small).crop((0, 0, 52, 48)).save(small)
    with pytest.warns(UserWarning, match="1 of 3 validation images are smaller than 64 x 64"):
        table = run_workflow(tiny, folder, tmp_path / "run", upsampler=second, progress=False).table
    assert table.result.tolist() == ["low-res", "before gan 128", "generated"] * 2 + ["enhanced"]
    assert table.pictures.tolist() == [3] * 7 and table["size"].tolist() == [64] * 3 + [96] * 4
    assert sorted(Image.open(f).size for f in (tmp_path / "run/generated").iterdir()) == [(48, 48), (64, 64), (64, 64)]
    assert table.psnr.min() > 12


def test_sizes_are_checked_before_anything_is_trained(tmp_path, monkeypatch):
    for i in range(6): Image.new("RGB", (178, 218)).save(tmp_path / f"{i}.jpg")  # as in CelebA
    recipe, begun = get_recipe("faces_unet_gan"), lambda *args, **kwargs: pytest.fail("the training has begun")
    monkeypatch.setattr(GanRecipe, "create", lambda self: None)
    monkeypatch.setattr(Recipe, "read", begun)
    wanted = "stage 'frozen 256': expected images of at least 256 x 256 pixels, got none: the largest has 178 x 218"
    for call in (train, run_workflow):
        with pytest.raises(ImageError, match=f"{wanted}; choose a size of at most 176"):
            call(recipe, tmp_path, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    fitted = recipe.fit_sizes(tmp_path)
    fitted.check_sizes(tmp_path)
    assert [stage.size for stage in fitted.stages] == [64, 64, 128, 128, 160, 160, 160, 160, 160, 160]
    assert fitted.fit_sizes(tmp_path) == fitted
    with pytest.raises(pytest.fail.Exception, match="the training has begun"): train(fitted, tmp_path, tmp_path / "run")


def test_sizes_of_the_upsampler_are_checked_before_the_generator_is_trained(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("srfast.training.workflow.train", lambda *args, **kwargs: pytest.fail("the training has begun"))
    first, second = (Recipe(name, "lr_unet", 2, (Stage(name, size),)) for name, size in (("one", 32), ("two", 512)))
    with pytest.raises(ImageError, match="stage 'two': expected images of at least 512 x 512"):
        run_workflow(first, pictures, tmp_path / "run", upsampler=second)
