"""Learners as a fastai user types them: without recipes, with fastai's own objects."""
import random
from dataclasses import replace
from functools import partial

import srfast.training.trainer  # noqa: F401, before fastai: it mends a CPU build of torch without that of torchvision
import numpy as np
import pytest
import torch
from fastai.callback.all import CSVLogger, GradientClip, SaveModelCallback
from fastai.callback.core import Callback
from fastai.learner import Learner, load_learner
from fastai.optimizer import Adam
from fastai.vision.gan import AdaptiveGANSwitcher, GANDiscriminativeLR, GANLearner
from PIL import Image
from torch import nn

import srfast
from srfast.core import ImageError, set_seed
from srfast.data import sr_dataloaders
from srfast.networks import save_weights
from srfast.training import Run, SRInterpretation, critic_dataloaders, critic_learner, gan_learner, get_recipe, sr_learner


@pytest.fixture(scope="module")
def dls(pictures):
    set_seed(0)
    return sr_dataloaders(pictures, scale=4, size=32, bs=5, n_valid=3, val_bs=2, num_workers=0)


def quiet(learn):
    """The learner without bars and lines."""
    learn.remove_cbs([cb for cb in learn.cbs if type(cb).__name__ == "ProgressCallback"])
    learn.logger = lambda *_: None
    return learn


@pytest.mark.parametrize("metric", [srfast.psnr, srfast.ssim, srfast.ms_ssim, srfast.mse, srfast.l1])
def test_metrics_of_a_shorter_last_batch(dls, metric):
    """Three validation images in batches of two and one: the metric is the mean over images."""
    learn = quiet(sr_learner(dls, "house_small", init="fast", metrics=[metric]))
    preds, targs = learn.get_preds()
    wanted = metric(preds, targs, reduction="none")
    assert [len(y) for _, y in dls.valid] == [2, 1] and wanted.shape == (3,)
    assert learn.validate()[1] == pytest.approx(wanted.mean().item(), rel=1e-6)


def test_lines_of_a_fastai_user(pictures, dls, tmp_path):
    """From the folder to `upscale`, with fastai's objects."""
    learn = quiet(sr_learner(dls, "lr_unet", loss="l1", config={"width": 4}, metrics=[srfast.psnr], path=tmp_path))
    assert type(learn) is Learner
    learn.lr_find(num_it=6, show_plot=False)
    learn.fine_tune(1)
    learn.fit_one_cycle(1, cbs=[SaveModelCallback(), CSVLogger(), GradientClip(1.)])
    assert (tmp_path / "models/model.pth").exists() and "psnr" in (tmp_path / "history.csv").read_text()
    assert "Total params" in learn.summary()
    SRInterpretation.from_learner(learn).plot_top_losses()
    learn.show_results()
    learn.dls = sr_dataloaders(pictures, scale=4, size=48, bs=2, n_valid=3, num_workers=0)
    learn.fit(1)
    critic = quiet(critic_learner(critic_dataloaders(learn, bs=4, num_workers=0), config={"width": 8}))
    critic.fit(1)
    gan = quiet(gan_learner(learn, critic, weights=(1., 50.)))
    gan.fit(1, 1e-4)
    assert isinstance(gan, GANLearner) and len(gan.recorder.values[-1]) == 4
    img = np.asarray(Image.open(next(pictures.iterdir())).convert("RGB"))[:20, :24]
    file = save_weights(learn.model, tmp_path / "mine.safetensors")
    large = srfast.upscale(img, model=file)
    assert large.shape == (80, 96, 3)
    np.testing.assert_array_equal(srfast.upscale(img, model=learn), large)
    np.testing.assert_array_equal(srfast.upscale(img, model=gan), large)
    for each in (learn, gan):
        each.export(tmp_path / "learn.pkl")
        with pytest.warns(UserWarning, match="pickle"):
            assert torch.equal(load_learner(tmp_path / "learn.pkl").predict(img)[1], each.predict(img)[1])


class Witness(Callback):
    """Whether the idle network moved in a step."""
    order = 60

    def before_fit(self): self.moved = []

    def look(self): return [v.clone() for v in (self.model.critic if self.turn else self.model.generator).state_dict().values()]

    def before_batch(self):
        self.turn = self.model.gen_mode
        self.before = self.look()

    def after_step(self): self.moved.append((self.turn, any(not torch.equal(a, b) for a, b in zip(self.before, self.look()))))


def test_the_idle_network_stays_with_fastais_optimizer_and_switcher(dls):
    gen = sr_learner(dls, "lr_unet", config={"width": 4})
    critic = critic_learner(critic_dataloaders(gen, bs=4, num_workers=0), "patch", config={"width": 8})
    set_seed(0)
    rules = dict(switcher=AdaptiveGANSwitcher(critic_thresh=2.), opt_func=partial(Adam, mom=.9), cbs=GANDiscriminativeLR(mult_lr=5.))
    for options in ({}, rules):
        gan = quiet(gan_learner(gen, critic, weights=(1., 50.), **options))
        gan.fit(3, 1e-4, cbs=[witness := Witness()])
        assert {turn for turn, _ in witness.moved} == {True, False} and not any(moved for _, moved in witness.moved)
        assert gan.opt.hypers[-1]["lr"] == pytest.approx(1e-4)
        assert all(p.requires_grad for p in gan.model.parameters())


def test_predict_with_a_loss_that_gets_the_input(dls):
    learn = quiet(sr_learner(dls, "house_small", {"l1": 1, "consistency": 1}))
    learn.fit(1)
    assert learn.predict(np.zeros((8, 8, 3), np.uint8))[1].shape == (3, 32, 32)


def test_the_split_of_all_sizes_is_that_of_train(pictures):
    def kept(size): return {item.original.name for item in sr_dataloaders(pictures, size=size, bs=2, num_workers=0).valid.items}

    from srfast.data.pairs import find_pictures
    from srfast.data.splits import keep_out
    assert kept(32) == kept(48) == {file.name for file in keep_out(find_pictures(pictures), 12, 0)[1]}


def test_small_and_damaged_images_are_found_before_the_first_epoch(tmp_path):
    rng = random.Random(0)
    for i in range(12): Image.effect_noise((40, 40), 50).convert("RGB").rotate(rng.randrange(4)).save(tmp_path / f"{i:02}.png")
    Image.new("RGB", (30, 90)).save(tmp_path / "narrow.png")
    (tmp_path / "damaged.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match="2 of 14 images cannot be used"):
        loaders = sr_dataloaders(tmp_path, size=32, bs=4, num_workers=0, seed=1)
    learn = quiet(sr_learner(loaders, "house_small"))
    learn.fit(1)
    with pytest.raises(ImageError, match="choose a smaller size"): sr_dataloaders(tmp_path, size=64, num_workers=0)


def test_pretrained_as_in_unet_learner(dls, monkeypatch, tmp_path):
    """ImageNet weights are looked for unless they are refused; then the encoder is frozen."""
    with pytest.raises(srfast.WeightsError, match="no ImageNet weights found"):
        monkeypatch.setattr("srfast.networks.backbones._urls", lambda name: [])
        sr_learner(dls, "unet_resnet34")
    assert all(p.requires_grad for p in sr_learner(dls, "unet_squeezenet", pretrained=False).model.parameters())


def test_a_recipe_names_its_learner(pictures):
    """A recipe's learner is an `sr_learner`, and takes a rate."""
    recipe = get_recipe("fast").fit_sizes(pictures)
    learn = recipe.learner(recipe.create(), recipe.read(pictures))
    learn.dls.train.steps = 2
    with learn.no_logging(): learn.fit(1, lr=1e-2)
    assert set(learn.recorder.lrs) == {1e-2} and isinstance(learn.model, nn.Module)


def test_float16_with_a_scaler_resumes(pictures, tmp_path):
    """As on a GPU without bfloat16: the scale of the loss is in the checkpoint, steps that overflow are left out."""
    from worker import RECIPE, same_weights

    from srfast.training.stages import Fp16
    from srfast.training.trainer import train

    class Stop(Callback):
        order = 69  # before the checkpoint

        def after_batch(self):
            self.learn.checkpoint.stop |= self.training and self.checkpoint.done == 3

    recipe = replace(RECIPE, precision="float16", stages=[replace(RECIPE.stages[0], epochs=1, steps=6)])
    whole = train(recipe, pictures, tmp_path / "whole", progress=False)
    with pytest.raises(KeyboardInterrupt): train(recipe, pictures, tmp_path / "again", progress=False, cbs=[Stop()])
    assert "fp16" in torch.load(Run(tmp_path / "again").checkpoints[-1], weights_only=True)["cbs"]
    train(recipe, pictures, tmp_path / "again", progress=False)
    assert same_weights(tmp_path / "again", whole.path) and len(whole.checkpoints) == 1

    learn = recipe.learner(recipe.create(), recipe.read(pictures))
    scales = []

    class Overflow(Callback):
        order = 3  # after the gradients, before they are unscaled

        def after_backward(self):
            if len(scales) == 2: next(self.model.parameters()).grad[:] = float("inf")

        def after_batch(self):
            if self.training: scales.append((self.fp16.scaler.get_scale(), next(self.model.parameters()).detach().clone()))

    with learn.no_logging(): learn.fit(1, cbs=[Overflow()])
    assert any(isinstance(cb, Fp16) for cb in learn.cbs)
    assert scales[2][0] == scales[1][0] / 2 and torch.equal(scales[2][1], scales[1][1]) and not torch.equal(scales[3][1], scales[2][1])
