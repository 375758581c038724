"""Training tiles are reproducible, scaled and masked, whoever draws them."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from dicomnode.train import body_ct, lesion_tiles, lung_hilum, lung_lesion_ct  # noqa: E402
from dicomnode.train.lung_ct import CLIP_HU, SPACING_MM  # noqa: E402


@pytest.fixture(scope="module")
def slab() -> lesion_tiles.Slab:
    return lesion_tiles.slab_of(1, 3)


def test_a_slab_gets_other_lesions_every_time_and_the_same_ones_again(slab: lesion_tiles.Slab) -> None:
    first, again, other = (lesion_tiles.tile_of(slab, turn) for turn in (0, 0, 1))
    assert all(torch.equal(one, same) for one, same in zip(first, again, strict=True))
    assert not torch.equal(first[1], other[1])
    image, labels, weight = first
    assert image.shape == (1, *lesion_tiles.TILE)
    assert labels.shape == weight.shape == lesion_tiles.TILE
    assert 0 <= image.min() <= image.max() <= 1
    assert lesion_tiles.LESION in labels
    assert (weight[labels == lesion_tiles.LESION] > 1).all()
    assert (weight[labels != lesion_tiles.LESION] == 1).all()


def test_a_slab_itself_stays_without_lesions(slab: lesion_tiles.Slab) -> None:
    before = slab.image.copy()
    lesion_tiles.tile_of(slab, 2)
    assert np.array_equal(slab.image, before)


def test_slabs_take_turns_and_a_stream_goes_on_where_it_stopped(
    slab: lesion_tiles.Slab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lesion_tiles, "slab_of", lambda seed, index: index)
    monkeypatch.setattr(lesion_tiles, "tile_of", lambda drawn, turn: (drawn, turn))
    whole = list(islice(lesion_tiles.LesionTiles(1), 200))
    assert list(islice(lesion_tiles.LesionTiles(1, 150), 50)) == whole[150:]
    assert len(set(whole)) == 200
    assert [drawn for drawn, _ in whole[:8]] == list(range(8))


def test_the_airway_weighs_more_about_the_hila() -> None:
    drawn = lung_hilum.patient_of(1, 2, SPACING_MM, shape=(4, 64, 96))
    image, labels, weight = lung_hilum.tile_of(drawn, 3, CLIP_HU)
    assert image.shape[1:] == labels.shape == weight.shape
    heavy = weight > 1
    assert heavy.any()
    assert not labels[heavy].any()
    assert (drawn.chest.airway[heavy.numpy()] <= 0).all()


def test_a_body_holds_its_lungs_and_no_couch() -> None:
    drawn = body_ct.patient_of(1, 22)
    image, labels = body_ct.tile_of(drawn, 5)
    assert image.shape == (1, *body_ct.TILE)
    assert 0.02 < labels.float().mean() < 0.9
    assert drawn.body[drawn.labels > 0].mean() > 0.999
    assert not drawn.body[:, -1].any()


def test_the_loss_of_lesions_prefers_the_truth_and_heeds_weights() -> None:
    labels = torch.zeros(1, 4, 8, 8, dtype=torch.int64)
    labels[:, 1:3, 2:4, 2:4] = lesion_tiles.LESION
    right = 10 * torch.nn.functional.one_hot(labels, 4).movedim(-1, 1).float()
    light, heavy = torch.ones(labels.shape), torch.where(labels > 0, 9.0, 1.0)
    missed = torch.zeros_like(right)
    missed[:, 0] = 10
    assert lung_lesion_ct.loss(right, (labels, light)) < 0.1
    assert lung_lesion_ct.loss(missed, (labels, heavy)) > lung_lesion_ct.loss(missed, (labels, light)) + 0.5
