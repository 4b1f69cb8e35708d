"""What makes a comparison fair: what every arm must share, said when it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from negativa.errors import InputError

if TYPE_CHECKING:
    from negativa.experiments.plan import Plan

SHARED: Final = ("steps", "sampler", "width", "height")  # fields of a recipe that are the same in every arm
RUN: Final = ("dtype", "device", "reproducible")  # of how a study is run: the same for every picture of it
DECLARED: Final = {"prompt": "prompts", "rule": "rules", "scale": "scales", "model": "models"}  # recipe's field: plan's axis
LEAST_SEEDS: Final = 2  # an interval of a difference needs two pairs


def check_table(label: str, table: Mapping[str, Any]) -> None:
    """Raise `InputError` if a handmade arm asks for seeds, or for a way to be run, of its own."""
    for name in ("seed", "seeds"):
        if name in table:
            raise InputError(f"{name}: the arm {label!r} has its own; in a comparison every arm has the plan's seeds")
    for name in RUN:
        if name in table:
            raise InputError(f"{name}: the arm {label!r} has its own; in a comparison it is the same for every arm")


def check(plan: Plan) -> None:
    """Raise `InputError`, in one sentence, if the arms of a plan cannot be compared fairly.

    Every arm has the same steps, sampler and size; rules, scales, prompts and models differ only as the plan declares
    them; arms have names and are not the same; a comparison has two seeds at least; models of different sizes of their
    own need one that is said; a measure over pairs needs arms without a negative.
    """
    arms = plan.arms()
    for arm in plan.handmade:
        for name in SHARED:
            if (own := getattr(arm.recipe, name)) != (common := getattr(plan, name)):
                raise InputError(
                    f"{name}: the arm {arm.label!r} has {own!r}, the plan {common!r}; in a comparison every arm has the same"
                )
        for name, axis in DECLARED.items():
            if (own := getattr(arm.recipe, name)) not in (declared := getattr(plan, axis)):
                raise InputError(f"{name}: the arm {arm.label!r} has {own!r}; allowed: what {axis} declares, {list(declared)}")
    labels, recipes = dict[str, None](), dict[Any, str]()
    for arm in arms:
        if arm.label in labels:
            raise InputError(f"label: two arms are called {arm.label!r}; allowed: every label once")
        if arm.recipe in recipes:
            raise InputError(f"arms: {recipes[arm.recipe]!r} and {arm.label!r} are the same recipe; allowed: every arm once")
        labels[arm.label], recipes[arm.recipe] = None, arm.label
    if len(arms) > 1 and len(plan.seeds) < LEAST_SEEDS:
        raise InputError(f"seeds: {len(plan.seeds)} was given for {len(arms)} arms; a comparison needs at least {LEAST_SEEDS}")
    if len(plan.models) > 1 and None in (plan.width, plan.height):
        raise InputError("width and height: several models were given and no size; a comparison needs one size for all")
    _check_measures(plan)


def _check_measures(plan: Plan) -> None:
    if not plan.measures:
        return
    from negativa.measures import build

    paired = any(arm.baseline for arm in plan.arms())
    for name in plan.measures:
        if build(name).over == "pair" and not paired:
            raise InputError(f'measures: {name!r} compares with the picture without the negative; negatives needs a ""')


def facts(receipt: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """What a picture was made with, from its receipt's values: by field, and by the name that recipes know it by.

    Where two pictures of a study have one of these in common, it has to be the same.
    """
    recipe = receipt["recipe"]
    found = {(name, ""): str(receipt[name]).partition(":")[0] for name in RUN}
    found["model_hash", recipe["model"]] = receipt["model_hash"]
    if weaker := receipt.get("weaker_hash"):
        found["model_hash", recipe["weaker"]] = weaker
    found |= {(kind, name): digest for kind in ("adapters", "loras") for name, digest in receipt.get(kind, {}).items()}
    learned, places = receipt.get("embeddings", {}), f" in {', '.join(recipe['embeddings'])}" if recipe["embeddings"] else ""
    found |= {("embeddings", f"{word}{places}"): digest for word, digest in learned.items()}
    texts = [recipe["prompt"], *(one["condition"] for one in recipe["negative"] if isinstance(one["condition"], str))]
    found["embeddings", f"{' | '.join(texts)}{places}"] = ", ".join(sorted(learned)) or "no embedding"  # one may be gone
    return found


def check_run(known: Mapping[tuple[str, str], str], made: Mapping[tuple[str, str], str]) -> None:
    """Raise `InputError` if a picture, whose facts are `made`, was made otherwise than those of the facts `known`.

    The kind of device, the dtype and whether pictures are reproducible are the same in every arm, and so is what stands
    behind one name: the weights of a model, a LoRA, an adapter, an embedding.
    """
    for (field, name), given in made.items():
        if (first := known.get((field, name), given)) != given:
            of = f" of {name!r}" if name else ""
            raise InputError(
                f"{field}: this study's pictures were made with {first}{of}, now {given} was given;"
                " allowed: what it was before, or a new folder for the study"
            )
