"""Steps that change values, each against its formula or another library."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage, stats

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare import contrast, histogram, intensity, normalise, shading, smooth, statistics
from dicomnode.infer.prepare.image import Image
from tests.unit.infer.prepare.conftest import image

HU = np.array([[[-2000, -1350, -1000, -600, 0, 150, 3000]]], dtype=np.int16)
RANDOM = np.random.default_rng(11)
VALUES = RANDOM.normal(100, 30, (6, 7, 8)).astype(np.float32)
BODY = RANDOM.random((6, 7, 8)) > 0.4


def test_a_window_maps_its_edges_to_the_ends_of_the_range() -> None:
    found = intensity.window(image(HU), centre=-600.0, width=1500.0).array.ravel()
    assert np.allclose(found, [0, 0, 350 / 1500, 0.5, 1350 / 1500, 1, 1], atol=1e-6)
    signed = intensity.window(image(HU), centre=-600.0, width=1500.0, to=(-1.0, 3.0)).array.ravel()
    assert np.allclose(signed, found * 4 - 1, atol=1e-6)


def test_limits_and_ranges() -> None:
    assert intensity.clip(image(HU), range=(-1000.0, 400.0)).array.ravel().tolist() == [
        -1000,
        -1000,
        -1000,
        -600,
        0,
        150,
        400,
    ]
    assert np.allclose(intensity.scale(image(HU), range=(-1000.0, 1000.0)).array, (HU + 1000) / 2000)
    assert np.allclose(intensity.scale(image(HU), range=(0.0, 10.0), to=(5.0, 6.0)).array, HU / 10 + 5, atol=1e-4)


@pytest.mark.parametrize(("count", "expected"), [(4, [0, 0, 1, 1, 3, 3]), (2, [0, 0, 0, 0, 1, 1])])
def test_bins_are_of_equal_width_and_take_in_what_lies_beyond(count: int, expected: list[int]) -> None:
    values = image([[[-1.0, 0.0, 0.25, 0.49, 1.0, 2.0]]])
    assert intensity.bins(values, count=count, range=(0.0, 1.0)).array.ravel().tolist() == expected


def test_eight_bits_are_numpys_histogram_bins() -> None:
    found = intensity.bins(image(VALUES), count=256).array
    edges = np.linspace(VALUES.min(), VALUES.max(), 257)
    assert np.abs(found - np.clip(np.digitize(VALUES, edges) - 1, 0, 255)).max() <= 1
    assert np.mean(found == np.clip(np.digitize(VALUES, edges) - 1, 0, 255)) > 0.99
    assert np.array_equal(np.bincount(found.astype(int).ravel(), minlength=256) > 0, np.histogram(VALUES, edges)[0] > 0)


def test_bins_of_a_width_start_at_the_lowest_value() -> None:
    assert intensity.bins(image([[[-10.0, 14.9, 15.0, 65.0]]]), width=25.0).array.ravel().tolist() == [0, 0, 1, 2]
    many = intensity.bins(image([[[-10.0, 14.9, 15.0, 66.0]]]), width=25.0).array
    assert many.ravel().tolist() == [0, 0, 1, 3]


def test_powers_and_logarithms() -> None:
    found = intensity.gamma(image([[[2.0, 4.0, 6.0, 10.0]]]), exponent=2.0).array.ravel()
    assert np.allclose(found, [2, 2 + 8 / 16, 4, 10])
    assert np.allclose(intensity.log(image(VALUES), offset=200.0).array, np.log(VALUES + 200), atol=1e-5)
    with pytest.raises(Unsuitable, match="needed a sum above 0"):
        intensity.log(image(HU))


def test_padding_and_what_is_no_number_is_filled() -> None:
    values = image(np.array([[[np.nan, np.inf, -np.inf, -2000, -1000, 5]]], dtype=np.float32))
    assert intensity.fill(values, value=-1000.0, below=-1024.0).array.ravel().tolist() == [-1000] * 5 + [5]
    assert intensity.fill(values, value=0.0).array.ravel().tolist() == [0, 0, 0, -2000, -1000, 5]


@pytest.mark.parametrize("over", ["whole", "body", "foreground"])
def test_zscore_minmax_and_percentiles_are_taken_where_values_count(over: str) -> None:
    array = np.where(BODY, VALUES, 0).astype(np.float32)
    chosen = array if over == "whole" else array[BODY]
    one = image(array, body=BODY)
    assert np.allclose(normalise.zscore(one, over=over).array, stats.zmap(array, chosen, axis=None), atol=1e-4)
    low, high = chosen.min(), chosen.max()
    assert np.allclose(normalise.minmax(one, over=over).array, (array - low) / (high - low), atol=1e-5)
    ends = np.percentile(chosen, [5, 90])
    clipped = normalise.clip_percentiles(one, percentiles=(5.0, 90.0), over=over).array
    assert np.allclose(clipped, np.clip(array, *ends), atol=1e-4)


def test_zscore_with_given_numbers_is_nnunets_for_ct() -> None:
    clipped = intensity.clip(image(HU), range=(-900.0, 300.0))
    found = normalise.zscore(clipped, mean=-50.0, deviation=120.0).array
    assert np.allclose(found, (np.clip(HU, -900, 300) + 50) / 120, atol=1e-5)


def test_an_image_without_contrast_is_refused() -> None:
    flat = image(np.full((2, 3, 4), 7, dtype=np.int16))
    steps: list[Callable[[], Image]] = [
        lambda: normalise.zscore(flat),
        lambda: normalise.minmax(flat),
        lambda: intensity.bins(flat, count=8),
        lambda: histogram.equalise(flat),
        lambda: histogram.match_histogram(flat, percentiles=(1.0, 99.0), reference=(0.0, 1.0)),
        lambda: shading.bias_field(flat),
    ]
    for refused in steps:
        with pytest.raises(Unsuitable, match="needed"):
            refused()
    with pytest.raises(Unsuitable, match="no voxel is foreground"):
        normalise.zscore(image(np.zeros((2, 3, 4))), over="foreground")


@settings(max_examples=40, deadline=None)
@given(arrays(st.sampled_from([np.int16, np.uint8, np.uint16, np.float32, np.int32]), (3, 4, 5)), st.floats(0, 100))
def test_percentiles_by_counting_are_those_of_numpy(array: np.ndarray, percent: float) -> None:
    array = np.nan_to_num(array, posinf=1e6, neginf=-1e6).clip(-1e6, 1e6).astype(array.dtype)
    found = statistics.percentiles_of(image(array), "whole", [percent])
    assert found[0] == pytest.approx(np.percentile(array.astype(np.float64), percent), rel=1e-6, abs=1e-2)


@pytest.mark.parametrize("kind", [np.float32, np.int32, np.int16])
def test_many_percentiles_of_a_part_are_those_of_numpy(kind: type[np.generic]) -> None:
    array = (RANDOM.normal(0, 300, (30, 40, 50)) ** 3 / 1e5).astype(kind)
    body = RANDOM.random(array.shape) > 0.5
    percents = np.linspace(0, 100, 37)
    found = statistics.percentiles_of(image(array, body=body), "body", percents.tolist())
    assert np.allclose(found, np.percentile(array[body].astype(np.float64), percents), rtol=1e-6, atol=1e-6)


def test_a_matched_histogram_has_the_landmarks_of_the_reference() -> None:
    percents = tuple(np.linspace(1, 99, 15).tolist())
    reference = np.sort(RANDOM.gamma(3, 50, 5000))
    wanted = np.percentile(reference, percents)
    found = histogram.match_histogram(image(VALUES), percentiles=percents, reference=tuple(wanted)).array
    assert np.allclose(np.percentile(found, percents), wanted, rtol=2e-2)
    assert np.array_equal(np.argsort(found.ravel(), kind="stable"), np.argsort(VALUES.ravel(), kind="stable"))
    twice = histogram.match_histogram(image(VALUES), percentiles=(0.0, 100.0), reference=(10.0, 20.0)).array
    assert np.allclose(twice, 10 + 10 * (VALUES - VALUES.min()) / np.ptp(VALUES), atol=1e-4)


def test_values_beyond_the_landmarks_follow_the_end_pieces_and_ties_are_no_steps() -> None:
    values = np.array([[[0, 0, 0, 0, 0, 0, 10, 20, 30, 40, 50.0]]], dtype=np.float32)
    found = histogram.match_histogram(image(values), percentiles=(0.0, 50.0, 80.0), reference=(0.0, 1.0, 4.0)).array
    assert np.allclose(found.ravel(), [0.5] * 6 + [0.5 + 3.5 * v / 30 for v in (10, 20, 30, 40, 50)], atol=1e-5)


def test_an_equalised_image_gives_every_value_its_rank() -> None:
    found = histogram.equalise(image(VALUES), bins=4096).array
    rank = stats.rankdata(VALUES, method="max").reshape(VALUES.shape) / VALUES.size
    assert np.abs(found - rank).max() < 2 / VALUES.size + 1e-3


def test_local_equalisation_spreads_values_and_leaves_them_at_no_strength() -> None:
    array = ndimage.gaussian_filter(RANDOM.normal(size=(2, 32, 32)), 2).astype(np.float32)
    scaled = (array - array.min()) / np.ptp(array)
    assert np.allclose(contrast.equalise_locally(image(array), radius=4, strength=0.0).array, scaled, atol=1e-5)
    found = contrast.equalise_locally(image(array), radius=4).array
    assert 0 <= found.min() <= found.max() <= 1
    assert (
        ndimage.generic_filter(found[0], np.std, 9).mean() > 1.3 * ndimage.generic_filter(scaled[0], np.std, 9).mean()
    )


def test_smoothing_counts_in_millimetres() -> None:
    found = smooth.gaussian(image(VALUES, (5.0, 1.0, 2.0)), sigma_mm=2.0).array
    assert np.allclose(found, ndimage.gaussian_filter(VALUES, (0.4, 2, 1), mode="nearest"), atol=1e-3)


def test_the_median_is_that_of_scipy() -> None:
    found = smooth.median(image(VALUES), radius=(0, 1, 2)).array
    assert np.array_equal(found, ndimage.median_filter(VALUES, size=(1, 3, 5), mode="nearest"))


def test_the_median_crosses_the_slabs_that_are_treated_at_a_time() -> None:
    array = RANDOM.integers(-1000, 1000, (40, 300, 300)).astype(np.int16)
    found = smooth.median(image(array), radius=(1, 0, 0)).array
    assert np.array_equal(found, ndimage.median_filter(array, size=(3, 1, 1), mode="nearest"))


def test_shading_is_evened_out() -> None:
    indices = np.indices((16, 32, 32))
    tissue = np.where(((indices - 16) ** 2 * [[[[4]]], [[[1]]], [[[1]]]]).sum(axis=0) < 180, 100.0, 160.0)
    shade = np.exp(0.4 * np.sin(indices[2] / 20) + 0.2 * np.cos(indices[1] / 16))
    array = (tissue * shade).astype(np.float32)
    found = shading.bias_field(image(array), over="whole", shrink=2, iterations=(20, 20)).array

    def spread(values: np.ndarray) -> float:
        return float(np.mean([values[tissue == kind].std() / values[tissue == kind].mean() for kind in (100, 160)]))

    assert spread(found) < 0.5 * spread(array)
    with pytest.raises(Unsuitable, match="needed none below 0"):
        shading.bias_field(image(HU))
