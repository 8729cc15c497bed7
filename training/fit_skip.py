"""Learns which pictures restoration would hardly improve: models/skip-good.json.

    build/release/bench/cascade --features skip.csv --seed 1 --pictures 600
    python training/fit_skip.py skip.csv

Each line of the CSV file is a drawn picture as it was handed on (noise, JPEG, blur): what retouchd measures of it, and what the
network really gained in dB, which is known because the picture was drawn. A logistic regression learns, from every second line,
whether the gain exceeds GAIN_DB; the other lines judge it. Needs numpy alone and repeats exactly.
"""

import argparse
import json
import os

import numpy as np

GAIN_DB = 0.5  # what is hardly seen
MISSED = 0.02  # of the pictures that would gain more, at most so many are to be passed on untouched
PENALTY = 0.02  # on the squares of the weights, for each picture: keeps certainties away from 0 and 1
SMALLEST = 0.1  # keeps logarithms finite; as in stages/gain_predictor.cpp
NETWORK = "student-tiny"
MODELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models")


def read(path):
    return np.genfromtxt(path, delimiter=",", names=True)


def inputs(table):
    """{name: values}, as stages/gain_predictor.cpp computes them."""

    def log(values):
        return np.log(np.maximum(values, SMALLEST))

    return {
        "log_noise": log(table["noise_sigma"]),
        "log_blockiness": log(table["blockiness"]),
        "log_detail": log(table["detail"]),
        "clipped": table["clipped"],
        "log_residual_rms": log(table["residual_rms"]),
        "log_residual_calm": log(table["residual_calm"]),
        "residual_grain": table["residual_grain"],
    }


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def fit(features, wanted):
    """(weights, bias) by Newton's method."""
    design = np.column_stack([features, np.ones(len(features))])
    penalty = PENALTY * len(features) * np.eye(design.shape[1])
    penalty[-1, -1] = 1e-9
    weights = np.zeros(design.shape[1])
    for _ in range(100):
        chance = sigmoid(design @ weights)
        slope = design.T @ (chance - wanted) + penalty @ weights
        curvature = design.T @ (design * (chance * (1 - chance))[:, None]) + penalty
        step = np.linalg.solve(curvature, slope)
        weights -= step
        if np.abs(step).max() < 1e-10:
            break
    return weights[:-1], weights[-1]


def area_under_curve(values, wanted):
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values))
    ranks[order] = np.arange(1, len(values) + 1)
    for value in np.unique(values):
        ranks[values == value] = ranks[values == value].mean()
    members = wanted.sum()
    others = len(wanted) - members
    return (ranks[wanted].sum() - members * (members + 1) / 2) / (members * others)


def learn(table):
    columns = inputs(table)
    names = list(columns)
    features = np.column_stack([columns[name] for name in names])
    gain = table["gain_db"]
    wanted = gain > GAIN_DB
    learning = np.arange(len(gain)) % 2 == 0
    judging = ~learning
    mean, scale = features[learning].mean(0), features[learning].std(0)
    scaled = (features - mean) / scale
    weights, bias = fit(scaled[learning], wanted[learning])
    chance = sigmoid(scaled @ weights + bias)
    threshold = float(np.quantile(chance[learning & wanted], MISSED))
    passed_on = judging & (chance < threshold)
    single = {name: round(float(max(area_under_curve(columns[name][judging], wanted[judging]),
                                    1 - area_under_curve(columns[name][judging], wanted[judging]))), 3) for name in names}
    facts = {
        "pictures": int(len(gain)),
        "held_out": int(judging.sum()),
        "gain_more_share": round(float(wanted[judging].mean()), 3),
        "auc": round(float(area_under_curve(chance[judging], wanted[judging])), 3),
        "auc_of_single_features": single,
        "passed_on_share": round(float(passed_on.sum() / judging.sum()), 3),
        "missed_share": round(float((passed_on & wanted).sum() / (judging & wanted).sum()), 3),
        "gain_passed_on_mean_db": round(float(gain[passed_on].mean()), 2),
        "gain_passed_on_most_db": round(float(gain[passed_on].max()), 2),
    }
    return {
        "version": 1,
        "network": NETWORK,
        "gain_db": GAIN_DB,
        "threshold": round(threshold, 4),
        "bias": round(float(bias), 6),
        "terms": {name: {"mean": round(float(m), 6), "scale": round(float(s), 6), "weight": round(float(w), 6)}
                  for name, m, s, w in zip(names, mean, scale, weights)},
        "facts": facts,
    }


def card(model):
    facts = model["facts"]
    lines = "\n".join(f"| {name} | {facts['auc_of_single_features'][name]:.3f} | {term['weight']:+.2f} |"
                      for name, term in model["terms"].items())
    return f"""# skip-good: which pictures retouchd may pass on untouched

A logistic regression over seven numbers that tells how likely the built-in network `{model['network']}` improves a picture by more than {model['gain_db']} dB PSNR. Used
with `cascade.skip_good: true` only, and only while that network is the one in use. Licence: Apache-2.0.

* Input: `image::GainFeatures` of the picture and of a mosaic of four 256x256 crops before and after the network (`image/gain_features.h`).
* Output: a probability. Below {model['threshold']} a picture counts as good enough; of the learnt pictures that would gain more, {MISSED:.0%} lie there.
* Written by `training/fit_skip.py`; its file says how to repeat it.

## Measured

{facts['pictures']} drawn pictures of one megapixel (`bench/support/generated_pictures.h`, handed on: blur, noise up to 20, JPEG of quality 10 to 95); every second one was learnt from,
the other {facts['held_out']} judge.

| | |
|---|---|
| would gain more than {model['gain_db']} dB | {facts['gain_more_share']:.1%} |
| area under the curve | **{facts['auc']:.3f}** |
| passed on untouched | {facts['passed_on_share']:.1%} |
| of those that would gain more, passed on | {facts['missed_share']:.1%} |
| gain of what is passed on, mean and most | {facts['gain_passed_on_mean_db']:+.2f} dB, {facts['gain_passed_on_most_db']:+.2f} dB |

| number | area under the curve alone | weight (of deviations from its mean) |
|---|---|---|
{lines}

## Limits

* Learnt from drawn pictures. On photographs full of fine texture (grass, fabric) the network changes more than it improves: some of them
  are restored that would not have needed it.
* It knows noise and JPEG, not blur, haze or scratches: the network it speaks for does not mend those either.
* Another network gains elsewhere. Fit it anew for that one, or leave `skip_good` off.
"""


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser(description="Learn which pictures restoration would hardly improve")
    parser.add_argument("features", help="CSV file by bench/cascade --features")
    parser.add_argument("--output", default=MODELS, help="folder (default: models/)")
    arguments = parser.parse_args()
    model = learn(read(arguments.features))
    write(os.path.join(arguments.output, "skip-good.json"), json.dumps(model, indent=2) + "\n")
    write(os.path.join(arguments.output, "skip-good.md"), card(model))
    print(json.dumps(model["facts"], indent=2))


if __name__ == "__main__":
    main()
