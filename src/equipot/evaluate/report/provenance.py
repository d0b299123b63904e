"""Where the model comes from."""

import json

import yaml

from equipot.data import conditions
from equipot.data.references import in_words
from equipot.evaluate.readable import duration
from equipot.evaluate.report.material import Material
from equipot.evaluate.report.page import Section, code, facts, folded


def section(material: Material) -> Section:
    """Data, split, configuration, versions, device and time."""
    document, origin = material.document, material.document.provenance
    files = "; ".join(f"{f.name} (SHA-256 {f.sha256[:16]}…)" for f in origin.data)
    model = document.potential.model
    units = ", ".join(f"{name} {unit}" for name, unit in document.units.items())
    rows = {
        "data": files,
        "started from": " from ".join(f"{a.name} ({a.identity[:16]}…)" for a in origin.ancestors),
        "split": ", ".join(f"{part} {count}" for part, count in origin.split.items()),
        "seeds": f"split {origin.split_seed}, training {origin.seed}",
        "model": f"{model.name}, {_parameters(material):,} parameters, {document.precision}, cutoff {model.cutoff:g} Å",
        "conditions": conditions.in_words(model.conditions, document.statistics),
        "reference energies": in_words(document.statistics),
        "fixed terms": ", ".join(document.potential.terms.names()),
        "versions": ", ".join(f"{name} {version}" for name, version in origin.versions.items()),
        "device": origin.device,
        "training time": "" if origin.seconds is None else duration(origin.seconds),
        "made": origin.created,
        "weights kept": document.metrics.get("selection", {}).get("kept", ""),  # type: ignore[union-attr]
        "license of the weights": document.licence,
        "units of the model": units.replace("^3", "³").replace("*", "·"),
    }
    run = yaml.safe_dump(document.run, sort_keys=False, allow_unicode=True)
    hashes = "\n".join(f"{f.sha256}  {f.name}" for f in origin.data)
    parts = [
        facts(rows),
        folded("Configuration, with every default", code(run)),
        folded("Hashes of the data", code(hashes)),
        folded(
            "Statistics of the training set",
            code(json.dumps(document.statistics.model_dump(mode="json"), indent=1)),
        ),
    ]
    return Section("provenance", "Provenance", parts)


def _parameters(material: Material) -> int:
    return sum(p.numel() for p in material.potential.parameters())
