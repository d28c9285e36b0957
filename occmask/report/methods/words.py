"""What the page of methods says about every comparison: how it was made, its limits, whose faces these are."""

from __future__ import annotations

from ..results import Results, confidence_of
from ..words import ORL_SOURCE, is_orl


def how_it_was_made(results: Results) -> list[str]:
    """The data, the budget, the runs and the machine, in sentences; what the results do not tell is left out."""
    settings, machine = results.get("settings", {}), results.get("environment", {})
    told = []
    model, data = settings.get("model"), settings.get("data")
    if model or data:
        told.append(
            "Every method"
            + (f" changes the model {model}" if model else "")
            + (" and" if model and data else "")
            + (f" is trained and measured on {data}" if data else "")
            + "; all are measured on the same covered pictures."
        )
    first, more, batch = (settings.get(key) for key in ("first_steps", "more_steps", "batch_size"))
    if first is not None or more is not None:
        given = [f"{n:,} {kind} steps" for n, kind in ((first, "first"), (more, "further")) if n is not None]
        told.append(f"Budget: {' and '.join(given)}" + (f" in batches of {batch}." if batch else "."))
    seeds, sure = int(settings.get("seeds") or 1), confidence_of(results)
    told.append(
        f"Every method was trained {seeds} times from other seeds; figures are means over the seeds. The {sure} "
        "intervals come from resampling people, not seeds; how far the seeds lie apart is told beside them."
        if seeds > 1
        else f"Every method was trained once, and the {sure} intervals come from resampling people."
    )
    on = [str(machine[key]) for key in ("processor", "platform") if machine.get(key)]
    threads = f", {machine['threads']} threads" if machine.get("threads") else ""
    if on or results.get("date"):
        date = f" on {results['date']}" if results.get("date") else ""
        told.append(f"Run{date}" + (f" on {', '.join(on)}{threads}." if on else "."))
    return told


def limits_of(results: Results) -> list[str]:
    """What the figures do and do not show; a run adds its own in `results["limits"]`, a list of sentences."""
    shared = (
        "An interval says how far a figure would move if other people of the same kind were tested. It does not cover "
        "another seed, another data set or another camera.",
        "A tie means that these data do not tell two methods apart. It does not mean that they are equal.",
        "The budget is part of the result. With more steps, more faces or a larger network the methods may change "
        "places; a paper's own figures are not reproduced here.",
        "The coverings are drawn, not photographed. Real ones bend, cast shadows and change how people hold their "
        "heads.",
    )
    return [*shared, *(str(line) for line in results.get("limits", ()))]


def credits_of(results: Results, *, faces: bool) -> list[str]:
    """The source of known faces, and what anyone using faces should mind; more so where the page shows some."""
    care = (
        "Error rates differ between groups of people, and a small data set cannot show by how much: measure on the "
        "people concerned before anything depends on an answer."
    )
    personal = "This page shows people: share it as you would share their photographs."
    return [*([ORL_SOURCE] if is_orl(results) else []), care + (f" {personal}" if faces else "")]
