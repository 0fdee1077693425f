"""How many independent trials a set of correlated ones amounts to.

Trials are clustered by the correlation of their returns; the number of clusters is the answer.
Average linkage is used rather than k-means (Lopez de Prado's ONC) because it needs no random start
and no repetition: the same ledger gives the same count. The silhouette chooses the cut, as in ONC,
but only between two bounds, for on noise alone it chooses at random:

- no cut joins clusters whose average correlation is within chance, so independent trials stay
  apart and the deflation of the best of them stays whole;
- no cut separates clusters whose average correlation is `same_correlation` or more: a copy of a
  trial is not another trial.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.special import ndtri

from engine.errors import DataError, NonFiniteError
from engine.types import FloatArray, IntArray

SAME_CORRELATION = 0.7
CHANCE = 0.05
N_CUTS = 40
_FLAT = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class EffectiveTrials:
    """How many independent trials there were.

    Attributes
    ----------
    n_effective : float >= 0; at most `n_trials`
    n_trials : trials that varied at all; the others cannot have been chosen and do not count
    n_sampled : trials that were clustered
    labels : ndarray of shape (n_sampled,), cluster of each, from 0
    silhouette : mean silhouette of the cut, in [-1, 1]; 0.0 when every trial stands alone
    """

    n_effective: float
    n_trials: int
    n_sampled: int
    labels: IntArray
    silhouette: float


def effective_trials(
    returns: FloatArray, same_correlation: float = SAME_CORRELATION
) -> EffectiveTrials:
    """Return the number of independent trials among all of the columns.

    Parameters
    ----------
    returns : ndarray of shape (n_bars, n_trials), fraction; row t is the same bar for every trial
    same_correlation : in (0, 1]; trials at least this correlated count as one

    Raises
    ------
    DataError : not a matrix, or fewer than three bars.
    NonFiniteError : a return that is not finite.

    Notes
    -----
    O(n_bars·n_trials² + n_trials²·N_CUTS) time and O(n_trials²) memory: up to about 2,000 trials.
    Source: Lopez de Prado and Lewis (2019), Detection of False Investment Strategies Using
    Unsupervised Learning Methods; silhouette: Rousseeuw (1987).
    """
    standard = _standardised(returns)
    labels, silhouette = _cluster(standard, same_correlation)
    n_trials = standard.shape[1]
    n_clusters = int(labels.max()) + 1 if n_trials else 0
    return EffectiveTrials(float(n_clusters), n_trials, n_trials, labels, silhouette)


def effective_trials_sampled(
    returns: FloatArray,
    rng: np.random.Generator,
    n_sampled: int = 500,
    same_correlation: float = SAME_CORRELATION,
    n_trials: int | None = None,
) -> EffectiveTrials:
    """Return the same from a random subset, for tens of thousands of trials.

    Parameters
    ----------
    returns : as for `effective_trials`; may itself be a random part of the trials
    rng : draws the subset, without replacement
    n_trials : how many trials there are when `returns` is only a part of them

    Notes
    -----
    Clusters are species and trials their members: clusters not met are estimated from those met
    once and twice, D + f1² / (2·f2·n/(n - 1) + f1·q/(1 - q)), q the share sampled, D the clusters
    met. With the whole sampled it is D; with every trial alone in the sample it is the number of
    trials. Source: Chao and Lin (2012), Nonparametric Lower Bounds for Species Richness and Shared
    Species Richness under Sampling without Replacement.
    """
    n_columns = returns.shape[1] if returns.ndim == 2 else 0
    total = n_columns if n_trials is None else max(n_trials, n_columns)
    if n_columns > n_sampled:
        returns = returns[:, np.sort(rng.choice(n_columns, n_sampled, replace=False))]
    part = effective_trials(returns, same_correlation)
    n_drawn = returns.shape[1]
    # Flat trials are left out of the whole in the share they have in the sample.
    n_varying = round(total * part.n_trials / n_drawn) if n_drawn else 0
    estimate = _clusters_in_all(part.labels, part.n_trials, n_varying)
    return EffectiveTrials(estimate, n_varying, part.n_trials, part.labels, part.silhouette)


def _clusters_in_all(labels: IntArray, n_sampled: int, n_all: int) -> float:
    sizes = np.bincount(labels) if n_sampled else np.empty(0)
    met = float(sizes.shape[0])
    once, twice = float(np.sum(sizes == 1)), float(np.sum(sizes == 2))
    if n_sampled < 2 or n_all <= n_sampled or once == 0.0:
        # One trial says nothing of how alike the others are: count each of them.
        return float(n_all) if n_sampled == 1 else met
    share = n_sampled / n_all
    unseen = once**2 / (2.0 * twice * n_sampled / (n_sampled - 1.0) + once * share / (1.0 - share))
    return min(float(n_all), met + unseen)


def _standardised(returns: FloatArray) -> FloatArray:
    """Return the columns that vary, with mean 0 and length 1."""
    if returns.ndim != 2 or (returns.shape[1] and returns.shape[0] < 3):
        raise DataError(
            f"trial returns of shape {returns.shape} have no correlations: give a matrix of at "
            "least three bars"
        )
    if not np.all(np.isfinite(returns)):
        raise NonFiniteError("trial returns hold a value that is not finite: leave that trial out")
    if not returns.shape[1]:
        return returns
    centred = returns - np.mean(returns, axis=0)
    length = np.sqrt(np.sum(centred**2, axis=0))
    varies = length > _FLAT * np.sqrt(np.sum(returns**2, axis=0))
    standard: FloatArray = centred[:, varies] / length[varies]
    return standard


def _cluster(standard: FloatArray, same_correlation: float) -> tuple[IntArray, float]:
    n_bars, n_trials = standard.shape
    if n_trials < 2:
        return np.zeros(n_trials, dtype=np.int64), 0.0
    # Half the squared angle-like distance of ONC: linear in the correlation, so that an average of
    # distances is an average of correlations and both bounds mean what they say.
    distance = np.clip((1.0 - standard.T @ standard) / 2.0, 0.0, 1.0)
    np.fill_diagonal(distance, 0.0)
    distance = (distance + distance.T) / 2.0
    tree = linkage(squareform(distance, checks=False), method="average")
    heights = tree[:, 2]
    fewest = n_trials - int(np.sum(heights < (1.0 - _noise(n_bars, n_trials)) / 2.0))
    most = n_trials - int(np.sum(heights <= (1.0 - same_correlation) / 2.0))
    best, best_score = np.zeros(0, dtype=np.int64), -2.0
    for n_clusters in _cuts(min(fewest, most), most):
        labels = fcluster(tree, n_clusters, criterion="maxclust").astype(np.int64) - 1
        score = _silhouette(distance, labels)
        if score >= best_score:
            best, best_score = labels, score
    return best, best_score


def _noise(n_bars: int, n_trials: int) -> float:
    """Return the correlation that no pair of independent trials is expected to reach."""
    n_pairs = n_trials * (n_trials - 1) / 2.0
    return min(1.0, -float(ndtri(CHANCE / n_pairs)) / float(np.sqrt(n_bars - 1)))


def _cuts(fewest: int, most: int) -> list[int]:
    if most - fewest < N_CUTS:
        return list(range(fewest, most + 1))
    return sorted({round(k) for k in np.geomspace(fewest, most, N_CUTS)})


def _silhouette(distance: FloatArray, labels: IntArray) -> float:
    """Return the mean silhouette; a trial alone in its cluster, or one cluster of all, counts 0."""
    sizes = np.bincount(labels)
    if sizes.shape[0] < 2:
        return 0.0
    members = np.zeros((labels.shape[0], sizes.shape[0]))
    rows = np.arange(labels.shape[0])
    members[rows, labels] = 1.0
    totals = distance @ members
    own = sizes[labels]
    within = totals[rows, labels] / np.maximum(own - 1, 1)
    others = totals / sizes
    others[rows, labels] = np.inf
    nearest = np.min(others, axis=1)
    larger = np.maximum(within, nearest)
    score = np.zeros(labels.shape[0])
    np.divide(nearest - within, larger, out=score, where=(own > 1) & (larger > 0.0))
    return float(np.mean(score))
