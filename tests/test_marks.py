"""The measures of research/measure_gans.py, on images with known faults."""
import pytest
import torch
from measure_gans import blots, kid, period_energy


@pytest.fixture(scope="module")
def faces() -> torch.Tensor:
    rough = torch.rand(12, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(rough, size=(64, 64), mode="bicubic").clamp(0.2, 0.8)


def ratios(sr, hr):
    (grid, near), (own, own_near) = (period_energy(imgs, 4) for imgs in (sr, hr))
    return float(grid / own), float(grid / near / (own / own_near))


def test_a_grid_shows_in_its_energy(faces):
    spotted = faces.clone()
    spotted[..., ::4, ::4] += 0.08
    assert ratios(faces, faces) == pytest.approx((1, 1))
    assert min(ratios(spotted, faces)) > 1.5
    grid, near = period_energy(torch.rand(48, 3, 64, 64, generator=torch.Generator().manual_seed(1)), 4)
    assert float(grid / near) == pytest.approx(1, abs=0.2)  # fine detail of any period is no grid


def test_a_blot_is_counted_unless_bicubic_has_it_too(faces):
    sr, bicubic = faces.clone(), faces.clone()
    assert blots(sr, faces, bicubic) == 0
    sr[0, :, 8:12, 8:12] = 1 - faces[0, :, 8:12, 8:12].round()
    assert blots(sr, faces, bicubic) == 1
    assert blots(sr, faces, sr) == 0


def test_kid_rises_with_the_distance_of_two_sets(faces):
    pooled = torch.nn.functional.avg_pool2d(faces, 16).flatten(1)
    same, darker = kid(pooled, pooled), kid(0.5 * pooled, pooled)
    assert abs(same) < 1e-3 < darker
