"""What combining predictions costs beside a step on terrarium, rule by rule. Writes docs/combining.md."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import negativa
from negativa import Recipe
from negativa.plain.passes import LATENTS
from negativa.rules import RULES, WRAPPERS, build
from negativa.rules.attended import Attended
from negativa.rules.spaces import convert
from negativa.sampling.steps import predicts
from negativa.sampling.walk import walk

PAGE = Path(__file__).parents[1] / "docs" / "combining.md"
ROUNDS, STEPS = 5, 20


def share(studio: negativa.Studio, recipe: Recipe) -> float:
    """The share of a picture's steps that goes into combining, percent; the steps are those of one picture alone."""
    recipe = studio.complete(recipe)
    denoiser = studio.denoiser
    shape = denoiser.shape(recipe.width or 0, recipe.height or 0)
    started, kept = time.perf_counter(), []
    running = walk(recipe, shape, denoiser.scheduler)
    ask = next(running)
    try:
        while True:
            rows = list(ask.passes.values())
            predicted = denoiser.predict([ask.latents] * len(rows), [ask.timestep] * len(rows), rows)
            answer = dict(zip(ask.passes, predicted, strict=True))
            kept.append((answer | {LATENTS: ask.latents}, ask.moment))
            ask = running.send(answer)
    except StopIteration:
        whole = time.perf_counter() - started
    rule, memory, native = build(recipe), {}, predicts(denoiser.scheduler)
    started = time.perf_counter()
    for predictions, moment in kept:
        seen = predictions[LATENTS]
        given = {name: convert(one, seen, moment, native, rule.space) for name, one in predictions.items()}
        convert(rule.combine(given | {LATENTS: seen}, moment, memory), seen, moment, rule.space, native)
    return 100 * (time.perf_counter() - started) / whole


def main() -> None:
    studio, base = negativa.load(), Recipe("portrait of a man", ("mustache", "hat"), steps=STEPS)
    lines = [
        "# What combining costs",
        "",
        "Written by `make bench`: the share of a picture's steps on terrarium that goes into combining its predictions,",
        f"in the rule's own space, two negatives, one picture alone, the median of {ROUNDS} rounds of {STEPS} steps.",
        "Rules that act in attention combine as `cfg` does.",
        "",
        "| rule | of a step |",
        "|---|---|",
    ]
    ways = {name: {"rule": name} for name, kind in RULES.items() if not issubclass(kind, Attended) and name != "autoguidance"}
    ways |= {f"cfg, {name}": {"wrappers": name} for name in WRAPPERS}
    for name, fields in ways.items():
        sampler = next(iter(getattr(RULES[str(fields.get("rule", "cfg"))], "samplers", ("euler_a",))))
        found = median(share(studio, base.replace(**fields, sampler=sampler)) for _ in range(ROUNDS))
        lines.append(f"| {name} | {found:.1f} % |")
        print(lines[-1], flush=True)
    PAGE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
