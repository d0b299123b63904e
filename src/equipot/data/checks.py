"""The checks of the data doctor on labels, one function for each row of the table of bad inputs."""

from collections.abc import Iterator, Sequence

import numpy as np

from equipot.data import references
from equipot.data.findings import Finding, some
from equipot.data.frame import Frame
from equipot.data.labels import describe
from equipot.data.read import Frames
from equipot.data.recognize import guess_polarizability_unit, length_ratio, unit_evidence
from equipot.data.statistics import elements_of

#: a force this many times above the 99.9 % quantile of all others is an outlier
_OUTLIER = 4.0
_INTERNAL = {"energy": "eV", "forces": "eV/Å"}


def check_forces(frames: Frames) -> Iterator[Finding]:
    """Row 1: no label at all, or energies and no forces under the names that are searched."""
    if not frames.labels:
        yield _no_label(frames)
    if frames.count("forces") or not frames.count("energy"):
        return
    vectors = [f for f in frames.found if f.per == "atom" and f.shape == (3,) and f.low is not None]
    if not vectors:
        yield Finding(
            level="note",
            row=1,
            title="no forces in the file",
            where=frames.path,
            evidence="there is no array of three numbers per atom. Energies alone train a model, with many more frames",
            fix="targets.energy.forces=false",
        )
        return
    yield Finding(
        level="error",
        row=1,
        title="no forces under the names that are searched",
        where=frames.path,
        evidence="arrays of three numbers per atom in the file: " + "; ".join(describe(f) for f in vectors),
        fix=f"keys.forces={vectors[0].name}, or targets.energy.forces=false",
        settings={"keys": {"forces": vectors[0].name}} if len(vectors) == 1 else {},
    )


def _no_label(frames: Frames) -> Finding:
    numbers = [f for f in frames.found if f.low is not None]
    likely = {
        "energy": [f.name for f in numbers if "energy" in f.name.lower() and f.per == "system"],
        "forces": [
            f.name for f in numbers if "force" in f.name.lower() and f.shape == (3,) and f.per == "atom"
        ],
    }
    keys = {name: found[0] for name, found in likely.items() if len(found) == 1}
    return Finding(
        level="error",
        row=1,
        title="no label under the names that are searched",
        where=frames.path,
        evidence="the file has "
        + ("; ".join(describe(f) for f in numbers) or "nothing beside species and positions"),
        fix=", ".join(f"keys.{name}={key}" for name, key in keys.items())
        or "keys.energy=NAME, keys.forces=NAME",
        settings={"keys": keys} if keys else {},
    )


def check_partial_labels(frames: Frames) -> Iterator[Finding]:
    """Row 2: labels that only some structures carry."""
    total = len(frames.structures)
    for name in frames.labels:
        missing = [f.index for f in frames.structures if name not in f.labels]
        if missing:
            yield Finding(
                level="warning",
                row=2,
                title=f"{name} in {total - len(missing)} of {total} frames",
                where=f"{frames.path}, without it: frame {some([str(k) for k in missing])}",
                evidence="the frames that have it are used for it, the others are left out of its loss and errors",
                fix=f"data.required=[{name}] to refuse such a file",
            )


def check_zero_forces(frames: Frames) -> Iterator[Finding]:
    """Row 3: forces that are exactly zero on some atoms of a frame, as constraints leave them."""
    found = []
    for f in frames.structures:
        forces = f.labels.get("forces", np.ones((1, 3)))
        size = np.abs(forces).max(axis=1)
        if (size == 0).any() and size.max() > 0.05:
            # Forces that vanish by symmetry leave the sum zero; those taken away are missing from it.
            found.append((f, np.flatnonzero(size == 0), np.linalg.norm(forces.sum(axis=0)), size.max()))
    taken = [item for item in found if item[2] > 0.05 * item[3]]
    if found and not taken:
        yield Finding(
            level="note",
            row=3,
            title=f"forces of exactly zero on some atoms of {len(found)} frames",
            where=f"{frames.path}, frame {some([str(f.index) for f, *_ in found])}",
            evidence="the forces of each frame still add up to zero, so symmetry can be the reason",
        )
    if not taken:
        return
    frame, atoms, net, largest = max(taken, key=lambda item: len(item[1]))
    yield Finding(
        level="warning",
        row=3,
        title=f"forces of exactly zero on some atoms of {len(taken)} frames",
        where=f"{frames.path}, frame {some([str(f.index) for f, *_ in taken])}",
        evidence=f"frame {frame.index}: atom {some([str(a) for a in atoms])} exactly 0 while others feel up to "
        f"{largest:.3g} eV/Å, and the net force is {net:.3g} eV/Å. Forces are read as stored, so they were zeroed "
        "before: constraints applied on writing",
        fix="write the file again with the raw forces (ASE: atoms.get_forces(apply_constraint=False)), or drop "
        "these frames; a model would learn that no force acts there",
    )


def check_units(frames: Frames) -> Iterator[Finding]:
    """Row 6: energies, forces or positions in other units than said or assumed."""
    used = {f.used_as: f for f in frames.found if f.used_as}
    structures = frames.structures
    ratio = length_ratio(structures) if structures else None
    if ratio is not None and 1.6 < ratio < 2.4:
        yield Finding(
            level="error",
            row=6,
            title="positions look like bohr",
            where=frames.path,
            evidence=f"nearest neighbors stand at {ratio:.2f} times the sum of their covalent radii; Å gives about 1, "
            "bohr 1.89",
            fix="data.units={length: bohr}",
            settings={"units": {"length": "bohr"}},
        )
        return  # the other evidence rests on bond lengths
    evidence = unit_evidence(structures)
    if evidence.allows("eV", "eV/Å"):
        return
    matches = evidence.matches()
    if not matches:
        return
    energy, forces = matches[0]
    others = some([f"{e} and {f}" for e, f in matches[1:]], limit=3) if "forces" in used else ""
    said = [n for n in ("energy", "forces") if n in used and not used[n].assumed]
    fix = {n: u for n, u in (("energy", energy), ("forces", forces)) if n in used}
    if "forces" in fix and evidence.stiffness is None and evidence.ratio is None:
        fix["forces"] = "UNIT"
    yield Finding(
        level="warning" if said else "error",
        row=6,
        title="labels do not look like " + " and ".join(u for n, u in _INTERNAL.items() if n in used),
        where=frames.path,
        evidence=evidence.text()
        + (f" (after conversion from the given {', '.join(said)} unit)" if said else "")
        + (f"; other units that fit: {others}" if others else ""),
        fix=f"data.units={{{', '.join(f'{n}: {u}' for n, u in fix.items())}}}",
        settings={"units": fix},
    )


def check_reference_energies(frames: Frames, isolated: Sequence[Frame] = ()) -> Iterator[Finding]:
    """Row 8: elements without an isolated-atom energy."""
    if not frames.count("energy"):
        return
    elements = elements_of(frames.structures)
    found = references.reference_energies([*frames, *isolated], elements)
    known = references.finding(found, elements, frames.path)
    if known is not None:
        yield known


def check_force_outliers(frames: Frames) -> Iterator[Finding]:
    """Row 12: forces far above all others."""
    labelled = [f for f in frames.structures if "forces" in f.labels]
    if len(labelled) < 10:
        return
    sizes = [np.linalg.norm(f.labels["forces"], axis=1) for f in labelled]
    largest = np.array([s.max() for s in sizes])
    usual = largest <= np.quantile(largest, 0.98)  # what is measured must not measure itself
    quantile = float(np.quantile(np.concatenate([s for s, u in zip(sizes, usual, strict=True) if u]), 0.999))
    outlying = np.flatnonzero(largest > _OUTLIER * max(quantile, 1e-6))
    if not len(outlying):
        return
    order = outlying[np.argsort(-largest[outlying])]
    listing = some(
        [f"frame {labelled[k].index}: {largest[k]:.4g} eV/Å on atom {sizes[k].argmax()}" for k in order]
    )
    yield Finding(
        level="warning",
        row=12,
        title=f"force outliers in {len(outlying)} frames",
        where=f"{frames.path}, frame {some([str(labelled[k].index) for k in order])}",
        evidence=f"{listing}; 99.9 % of the others are below {quantile:.4g} eV/Å. They are kept",
        fix=f"data.max_force={2 * quantile:.3g} to leave them out",
    )


def check_polarizability(frames: Frames) -> Iterator[Finding]:
    """Row 15: polarizabilities in other units, or not symmetric."""
    labelled = [f for f in frames.structures if "polarizability" in f.labels]
    if not labelled:
        return
    used = next(f for f in frames.found if f.used_as == "polarizability")
    unit, ratio = guess_polarizability_unit(labelled)
    beside = (
        ""
        if ratio is None
        else f": {ratio:.3g} times the sum of average atomic polarizabilities (Miller 1990)"
    )
    if unit is not None and unit != "Å^3":
        yield Finding(
            level="error" if used.assumed else "warning",
            row=15,
            title=f"polarizability looks like {unit}, not Å^3",
            where=f"{frames.path}, {used.name}",
            evidence=f"read as {used.unit}{beside}",
            fix=f"data.units={{polarizability: {unit}}}",
            settings={"units": {"polarizability": unit}},
        )
    elif used.assumed and unit is None:
        yield Finding(
            level="warning",
            row=15,
            title="the unit of the polarizability is not stated",
            where=f"{frames.path}, {used.name}",
            evidence=f"read as Å^3{beside}; the numbers alone do not tell",
            fix="data.units={polarizability: Å^3}, or bohr^3, or e*Å^2/V",
        )
    yield from _asymmetric(frames, labelled, used.name)


def _asymmetric(frames: Frames, labelled: Sequence[Frame], name: str) -> Iterator[Finding]:
    alpha = np.array([f.labels["polarizability"] for f in labelled])
    skew = np.abs(alpha - alpha.transpose(0, 2, 1)).max(axis=(1, 2)) / 2
    size = np.abs(alpha).max(axis=(1, 2))
    worst = int((skew / np.maximum(size, 1e-12)).argmax())
    share = skew[worst] / max(size[worst], 1e-12)
    if share < 1e-6:
        return
    count = int((skew / np.maximum(size, 1e-12) > 1e-6).sum())
    yield Finding(
        level="error" if share > 0.05 else "warning",
        row=15,
        title=f"polarizability is not symmetric in {count} frames",
        where=f"{frames.path}, {name}, worst in frame {labelled[worst].index}",
        evidence=f"antisymmetric part up to {skew[worst]:.3g} Å^3, {share:.2g} of the largest component; "
        + (
            "the nine numbers may be in another order"
            if share > 0.05
            else "a model gives symmetric ones only"
        ),
        fix="data.symmetrize=[polarizability]",
        settings={"symmetrize": ["polarizability"]},
    )
