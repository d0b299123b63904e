"""The page of engines and spectra in the documentation, made from the committed result files.

python benchmarks/engines/page.py           # rewrites docs/simulation.md
python benchmarks/engines/page.py --check   # says whether it is up to date
"""

import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "scaling")]
import model as prediction
import overhead
from readme import read

PAGE = HERE.parent.parent / "docs" / "simulation.md"
HEAD = """\
<!-- written by benchmarks/engines/page.py; do not edit -->

# Engines and spectra

What dynamics and the spectra made from it were measured to give, on one machine of two cores without a GPU. Each part
names its command, date and commit; machine and versions are in its file in `benchmarks/results/`. Errors behind ± are
standard errors."""
VERIFY = """\
Small models with random weights in float64, a molecule and a triclinic crystal: energy, forces, stress of the
crystal (not through OpenMM) and three NVE steps, in each engine and in ASE with reference kernels. The number is
the largest of all relative differences, 0 where all are equal to the last bit, and the limit {limit:.0e}. For your
own model and structures `equipot verify --engine all` says the same."""
FREE = """\
LAMMPS without Python (`equipot export --python-free`): small models with random weights in float64, a triclinic
crystal of {atoms} atoms, `lmp` on two processes against ASE. Differences are relative, those of forces to the
largest force; that of the pressure is the one between the constants of LAMMPS and ASE. Times are wall milliseconds
of a step on one process, from a few steps on a busy machine, beside those of the same model through Python. Without
Python, models that pass messages compute copies of atoms as deep as messages reach: the column of copies says how
deep, and how many times the edges of the atoms themselves that makes, and the program is plain PyTorch compiled, not
our kernels. For few atoms on a process, take the route through Python."""
OVERHEAD = """\
CPU milliseconds of a step of velocity Verlet with a model that returns zeros, one thread, fastest of seven blocks.
"alone" is the engine with a function of zeros; "run" is `equipot md`, with the neighbor list, the checks, and a
sample every four steps. Blank is what was not measured: an engine that cannot be asked for it, or has no replicas."""
TORCHSIM = """\
[TorchSim](how-to/torchsim.md): CPU milliseconds of a Langevin step of copies of ethanol, PaiNN with random weights
and 32 channels, float32, one thread."""
RING = """\
A step of T-RPMD on [i-PI](how-to/quantum-nuclei.md) with all 64 beads in one call of the model, beside one bead and
64 times that. CPU milliseconds, one thread, float32, fastest block; PaiNN with random weights, for aspirin with the
published settings, for ethanol with those of the demo. The share of i-PI is that of the same steps with a harmonic
well in place of the model. 20 ps are 80,000 steps of 0.25 fs, extrapolated."""
PEER = """\
i-PI's own driver for MACE takes all beads as one batch, too. Aspirin, hyper-parameters of [speed](speed.md), the
same input of i-PI, float32, one thread, CPU milliseconds of a step. The driver of MACE always computes the stress,
which equipot does not for a molecule."""
QUANTUM = """\
Ethanol at 300 K with the model of the demo ({training}), classical nuclei by NVE and quantum nuclei by T-RPMD with
32 beads, from the same starting conformers. Centers of bands in cm⁻¹."""
QUANTUM_RUNS = """\
Trajectories are short, and lines as wide as the resolution: centers of bands mean something, widths do not. Why the
kinetic temperature of T-RPMD reads low, and what the drift of its conserved quantity means, is told in [quantum
nuclei](how-to/quantum-nuclei.md). No measured spectrum is compared here."""
QUARTZ = """\
One small NequIP of {train} frames ({valid} to validate) of 72 atoms, PBE, against density-functional perturbation
theory (DFPT) with the same functional. On the {test} frames held out, mean absolute errors are {forces:.0f} meV/Å
of the forces, {charges:.3f} e of the Born charges and {polarizability:.2f} Å³ of the polarizability of the cell.

Phonons at Γ of the 9-atom cell: {modes} modes, {mean:.1f} cm⁻¹ from DFPT on the mean and {largest:.1f} at most;
infrared intensities {infrared:.0f} km/mol in all, DFPT {dfpt:.0f}. ε∞ is {infinite} and ε(0) {static} (xx, yy, zz).
The totally symmetric modes, beside measured Raman lines (Scott and Porto 1967), cm⁻¹:"""
QUARTZ_DYNAMICS = """\
DFPT is {low:.0f} to {high:.0f} cm⁻¹ below what was measured, and the model follows it: that error is the
functional's.

Dynamics of 72 atoms at 300 K, {picoseconds:.0f} ps of NVE, resolution {resolution:.0f} cm⁻¹. Infrared bands, area
of n·α beside that of DFPT's lines with the same width:"""
QUARTZ_MISSED = """\
The whole area is {area:.2f} times that of DFPT, single bands {low:.2f} to {high:.2f} times, and the largest shift
is {shift:.0f} cm⁻¹. Intensities miss: one segment of so few picoseconds at constant energy keeps each mode near the
energy that it started with ([why, and what helps](how-to/periodic-spectra.md#what-it-gives-for-quartz)). The
phonons are the sharp test. The curve of DFPT in the figure is scaled to the same area."""
QUARTZ_RAMAN = "Raman peaks of the dynamics that stand out by three standard errors: {peaks} cm⁻¹."
QUARTZ_NO_RAMAN = (
    " The strongest line of the phonons, {nu:.0f} cm⁻¹, is not among them: its height is too uncertain."
)
WATER = """\
64 molecules at 300 K, revPBE0-D3, classical nuclei: NequIP moves them ({forces:.0f} meV/Å mean absolute error of
forces), PaiNN gives dipole and polarizability along the way. {equilibration:.0f} ps of NVT, then {production:.0f}
ps of NVE, steps of {dt} fs. Measured: Soper 2013 (structure), Holz et al. 2000 (diffusion), Segelstein 1981
(infrared)."""
WATER_MISSED = """\
What misses: the stretch is {stretch:.0f} cm⁻¹ too high and the bend {bend:.0f}. Nuclei are classical; quantum
nuclei shift stretches down (above, in ethanol), but how much of this they would take back in water was not
computed. The maximum of n·α is {height:.0f} % low. Diffusion is {diffusion:.1f} · 10⁻⁹ m²/s slow; the size of the
cell explains about 0.6 of it ([the rest](how-to/periodic-spectra.md#what-it-gives-for-liquid-water)). Raman stretch
and bend have no measured numbers in the file; the figure has the measured low-frequency Raman spectrum."""
HEADLINE = """\
The published model (Musaelian et al., Nat. Commun. 14, 579 (2023)): Allegro with 9,058 weights, a cell with the
composition and density of Li₃PO₄, steps of 2 fs. Ours has random weights and shaken lattice sites, since only time
is measured, in [LAMMPS](how-to/lammps.md). 192 atoms: **{here:.1f} ns/day** on one core, {published:.1f} published
on one A100. One run; another, on a less quiet machine, differed by up to a fifth."""
RANKS = """\
Strong scaling keeps the atoms, weak scaling the atoms of a rank. Efficiency is the speed-up over the number of
ranks (strong), or the time of one rank over this one (weak). Ranks beyond the two cores share them and gain
nothing. "Predicted" is `benchmarks/scaling/model.py` from the time of the model alone and of messages between two
processes: it leaves out what LAMMPS and the neighbor list cost, and takes every rank for a core. Where no cores are
shared, the time measured is {low:.2f} to {high:.2f} times that."""
CURVE = """\
The same formula, from the two published numbers of one GPU and an assumed network ({bandwidth:.0f} GB/s,
{latency:.0f} µs), against the rest of the published curve, which it gives within {worst:.0f} %:"""
PREDICTED = """\
What it says of ours, `python benchmarks/scaling/model.py`: {per_atom:.0f} µs an atom and a step, from {small:,} and
{large:,} atoms of the model alone on one core, and the same assumed network. The part of a step that does not grow
with the atoms came out as {start:.2f} ms. One process is one such core, not a GPU. This extrapolates by orders of
magnitude and was not run; there is no published number of this model for a hundred million atoms to put beside it."""
NETWORK = {"bandwidth": 25e9, "latency": 5e-6}  # bytes/s and s, assumed, as scaling/model.py does

Record = dict[str, Any]


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of Markdown."""
    lines = [f"| {' | '.join(cells)} |" for cells in (titles, *rows)]
    return "\n".join([lines[0], "|---" * len(titles) + "|", *lines[1:]])


def wrapped(block: str) -> str:
    """Prose in lines of 120 characters; tables, figures, headings and sources as they are."""
    if block[0] in "|!#<`":
        return block
    paragraphs = block.split("\n\n")
    return "\n\n".join(
        textwrap.fill(p, 120, break_long_words=False, break_on_hyphens=False) for p in paragraphs
    )


def short(x: float, digits: int = 3) -> str:
    """So many significant digits, and every digit before the point."""
    return f"{x:,.0f}" if x >= 10**digits else f"{x:#.{digits}g}".rstrip(".")


def source(name: str, record: Record) -> str:
    """Which commands made a file, when, and from which commits."""
    entries = [record] if "commit" in record else record["runs"].values()
    made = dict.fromkeys(f"`{e['command']}`, {e['date'][:10]}, commit {e['commit'][:7]}" for e in entries)
    return ";\n".join(made) + f" (`results/{name}.json`)."


def busy(times: Iterable[tuple[float, float]]) -> bool:
    """Whether CPU and wall milliseconds tell of other processes on the machine."""
    return any(wall > 2 * cpu for cpu, wall in times)


def both(record: Any) -> Iterator[tuple[float, float]]:
    """All pairs of CPU and wall milliseconds in an entry."""
    if "cpu_ms" in record:
        yield record["cpu_ms"], record["wall_ms"]
    else:
        for value in record.values():
            yield from both(value) if isinstance(value, dict) else ()


def error(pair: Sequence[float]) -> str:
    """A number and its standard error."""
    return f"{pair[0]:.0f} ± {pair[1]:.0f}"


def verify(record: Record) -> list[str]:
    """The largest difference by architecture and engine."""
    versions = {name: version for name, version in record["engines"].items() if version}
    rows = []
    for name, proofs in record["models"].items():
        by = {e: [p["value"] for p in proofs if p["name"].split()[0] == e] for e in versions}
        rows.append([name, *map(largest, by.values()), str(len(proofs))])
    titles = ["", *(f"{name} {version}" for name, version in versions.items()), "proofs"]
    every = [proof for proofs in record["models"].values() for proof in proofs]
    absent = ", ".join(name for name in record["engines"] if name not in versions)
    missing = f" Not installed there, and not proved: {absent}." if absent else ""
    failed = (
        f"Failed: {'; '.join(record['failed'])}." if record["failed"] else f"All {len(every)} proofs hold."
    )
    limit = max(proof["limit"] for proof in every)
    return [VERIFY.format(limit=limit), table(titles, rows), failed + missing]


def largest(differences: Iterable[float]) -> str:
    """One digit of the largest; blank where there are none."""
    found = list(differences)
    return f"{max(found):.0e}".replace("0e+00", "0") if found else ""


def python_free(record: Record) -> list[str]:
    """LAMMPS without Python, by architecture."""
    runs, rows = record["runs"], []
    for name, entry in runs.items():
        differences = (entry[f"relative_difference_of_{q}"] for q in ("energy", "forces", "pressure"))
        times = entry["milliseconds_of_a_step"]
        milliseconds = [short(times[side]) for side in ("free", "python")]
        copies = entry["halo_on_two_processes"].replace(", and copies are computed that far", "")
        rows.append([name, *(largest([d]) for d in differences), copies, *milliseconds])
    titles = ["", "energy", "forces", "pressure", "copies on two processes", "ms", "through Python, ms"]
    atoms = ", ".join(sorted({str(entry["atoms"]) for entry in runs.values()}))
    return [FREE.format(atoms=atoms), table(titles, rows)]


def null_model(record: Record) -> list[str]:
    """What a step costs beside the model."""
    slowed = dict.fromkeys(n.split(",")[0] for n, entry in record["runs"].items() if busy(both(entry)))
    note = (
        "Measured on a busy machine (wall time more than twice CPU time), and good to about a factor of 1.5: "
        f"{', '.join(slowed)}."
    )
    return [OVERHEAD, "\n".join(overhead.table(record["runs"])), *([note] if slowed else [])]


def torchsim(record: Record) -> list[str]:
    """Copies in one call, and many molecules relaxed at once."""
    (entry,) = record["runs"].values()
    found, relaxed = entry["replicas"], entry["relaxation"]
    counts = dict.fromkeys(name.split(", ")[1] for name in found)
    rows = [[n, *(f"{found[f'{e}, {n}']['cpu_ms']:.1f}" for e in ("torchsim", "ase"))] for n in counts]
    seconds = relaxed["cpu_seconds"]
    worst = max(proof["value"] for proof in entry["agreement"])
    text = (
        f"200 steps of FIRE for {len(relaxed['molecules'])} different molecules took {seconds['all at once']:.1f} s of "
        f"the processor together and {seconds['one by one']:.1f} s one by one; energies differed by "
        f"{relaxed['largest_energy_difference_eV']:.0e} eV. Energy, forces, stress and three steps, in float64, agree "
        f"with the reference to {worst:.0e} (PaiNN alone)."
    )
    note = " The machine was busy: wall times were several times these." if busy(both(found)) else ""
    return [TORCHSIM + note, table(["copies", "torchsim", "ase"], rows), text]


def ring_polymer(record: Record) -> list[str]:
    """64 beads in one call."""
    rows = []
    for name, case in record["cases"].items():
        times = {kind: pair[0] for kind, pair in case["ms_per_step_cpu_wall"].items()}
        numbers = (
            times["one"],
            64 * times["one"],
            times["ring"],
            times["i-PI alone"],
            times["ring, recording"],
        )
        hours = (case["hours_for_20_ps_cpu"], case["hours_for_20_ps_one_by_one_cpu"])
        cells = [
            *(short(t) for t in numbers),
            f"{case['times_64_single']:.1f}",
            *(f"{h:.1f} h" for h in hours),
        ]
        rows.append([f"{name}, {case['atoms']} atoms", *cells])
    titles = [
        "",
        "one bead",
        "64 × one bead",
        "64 beads",
        "of it i-PI",
        "64 beads, with dipole and polarizability",
    ]
    titles += ["times faster than one by one", "20 ps", "20 ps one by one"]
    slowed = any(busy(case["ms_per_step_cpu_wall"].values()) for case in record["cases"].values())
    note = " The machine was busy: wall times were several times these." if slowed else ""
    return [RING + note, table(titles, rows)]


def ring_polymer_peer(record: Record) -> list[str]:
    """MACE by i-PI's driver and by equipot."""
    times, beads = record["ms_per_step_cpu_wall"], ("1", "64")
    names = {"mace": "MACE, by i-PI's batched driver", "equipot": "the same MACE, by equipot"}
    rows = [[text, *(short(times[side][b][0]) for b in beads)] for side, text in names.items()]
    rows.append(["times", *(short(record["peer_over_equipot"][b], 2) for b in beads)])
    gain = {side: times[side]["64"][0] / times[side]["1"][0] for side in names}
    text = f"64 beads cost the driver {gain['mace']:.0f} times one bead, and equipot {gain['equipot']:.0f} times."
    return [PEER, table(["", "one bead", "64 beads"], rows), text]


def quantum(record: Record) -> list[str]:
    """Bands of ethanol with both kinds of nuclei."""
    columns = [(kind, f"{n}_cm-1") for kind in ("ir", "power") for n in ("classical", "quantum", "shift")]
    rows = []
    for name, band in record["bands"].items():
        harmonic = ", ".join(f"{nu:.0f}" for nu in band["harmonic_gauche_cm-1"])
        rows.append([name, harmonic, *(error(band[kind][column]) for kind, column in columns)])
    names = {"ir": "infrared", "power": "power spectrum"}
    titles = [
        "band",
        "harmonic lines of gauche",
        *(f"{names[k]}, {c.removesuffix('_cm-1')}" for k, c in columns),
    ]
    runs = [
        [
            label,
            f"{run['segments']} × {run['picoseconds'] / run['segments']:.1f} ps",
            f"{run['resolution_cm-1']:.0f} cm⁻¹",
            f"{run['kinetic_temperature_K']:.0f} K",
            f"{run['drift_meV_atom_ps']:g}",
            run["engine"],
        ]
        for label, run in (("classical", record["runs"]["nve"]), ("quantum", record["runs"]["trpmd"]))
    ]
    figure = "![Infrared spectrum of ethanol with classical and quantum nuclei](figures/quantum_ethanol.svg)"
    titles_of_runs = [
        "nuclei",
        "trajectories",
        "resolution",
        "kinetic temperature",
        "drift, meV/atom/ps",
        "engine",
    ]
    trajectories = table(titles_of_runs, runs)
    text = QUANTUM.format(training=record["model"]["training"])
    return [text, table(titles, rows), figure, QUANTUM_RUNS, trajectories]


def symmetric(phonons: Record) -> list[int]:
    """A1 modes: not degenerate, without infrared intensity."""
    found = phonons["wavenumbers_cm-1"]
    alone = (i for i, nu in enumerate(found) if sum(abs(nu - other) < 0.5 for other in found) == 1)
    return [i for i in alone if phonons["infrared_km_mol"][i] < 0.05]


def quartz(record: Record) -> list[str]:
    """Phonons, then dynamics, beside perturbation theory."""
    phonons, spectra, test = record["phonons"], record["spectra"], record["test"]
    text = QUARTZ.format(
        **record["frames"],
        forces=1e3 * test["forces"]["mae"],
        charges=test["born_charges"]["mae"],
        polarizability=test["polarizability"]["mae"],
        modes=len(phonons["wavenumbers_cm-1"]),
        mean=phonons["mean_absolute_difference_cm-1"],
        largest=phonons["largest_difference_cm-1"],
        infrared=phonons["infrared_sum_km_mol"],
        dfpt=phonons["infrared_sum_dfpt_km_mol"],
        infinite=", ".join(f"{x:.2f}" for x in phonons["permittivity_infinite"]),
        static=", ".join(f"{x:.2f}" for x in phonons["permittivity_static"]),
    )
    chosen, measured = symmetric(phonons), spectra["raman_A1_measured_cm-1"]
    modes = [
        [f"{phonons['wavenumbers_cm-1'][i]:.1f}", f"{phonons['dfpt_cm-1'][i]:.1f}", f"{nu:.0f}",
         f"{phonons['raman_A4_amu'][i]:.1f}"]
        for i, nu in zip(chosen, measured, strict=True)
    ]  # fmt: skip
    softer = [nu - phonons["dfpt_cm-1"][i] for i, nu in zip(chosen, measured, strict=True)]
    names = ["model", "DFPT", "measured", "Raman activity of the model, Å⁴/amu"]
    dynamics = QUARTZ_DYNAMICS.format(
        picoseconds=spectra["picoseconds"],
        resolution=spectra["resolution_cm-1"],
        low=min(softer),
        high=max(softer),
    )
    figure = "![Infrared and Raman spectra of quartz](figures/quartz_spectra.png)"
    return [text, table(names, modes), dynamics, *quartz_bands(spectra), quartz_raman(record), figure]


def quartz_bands(spectra: Record) -> list[str]:
    """Infrared bands of the dynamics; areas of DFPT are stored with the factor that makes the whole alike."""
    compared, errors = spectra["comparison"], dict(spectra["infrared_peaks_cm-1"])
    pairs = [row for row in compared["peaks"] if row["peak"] and row["harmonic"]]
    rows, ratios, shifts = [], [], []
    for row in pairs:
        position, theirs = row["peak"]["position"], row["intensity"] / compared["intensity_factor"]
        ratios.append(row["peak"]["area"] / theirs)
        shifts.append(abs(position - row["harmonic"]))
        areas = (row["peak"]["area"] / 1e3, theirs / 1e3)
        place = error((position, errors[round(position, 1)]))
        cells = [place, f"{row['harmonic']:.0f}", *(f"{x:,.0f}" for x in areas)]
        rows.append([*cells, f"{ratios[-1]:.2f}"])
    titles = ["dynamics, cm⁻¹", "DFPT, cm⁻¹", "area, 10³ cm⁻²", "DFPT, 10³ cm⁻²", "ratio"]
    area = spectra["infrared_area_cm-2"] / spectra["infrared_area_dfpt_cm-2"]
    missed = QUARTZ_MISSED.format(area=area, low=min(ratios), high=max(ratios), shift=max(shifts))
    return [table(titles, rows), missed]


def quartz_raman(record: Record) -> str:
    """Peaks of the dynamics, and whether the strongest line is one of them."""
    phonons, peaks = record["phonons"], record["spectra"]["raman_peaks_cm-1"]
    _, strongest = max(zip(phonons["raman_A4_amu"], phonons["wavenumbers_cm-1"], strict=True))
    text = QUARTZ_RAMAN.format(peaks=", ".join(map(error, peaks)))
    found = any(abs(position - strongest) < 20 for position, _ in peaks)
    return text if found else text + QUARTZ_NO_RAMAN.format(nu=strongest)


def water(record: Record) -> list[str]:
    """Found beside measured."""
    D, peak, settings = record["diffusion_1e-9_m2_s"], record["first_peak_OO"], record["dynamics"]
    conserved = settings["conservation"]
    infrared, raman = record["infrared"], record["raman"]
    height, measured_height = infrared["stretch_maximum_of_n_alpha"], infrared["measured_stretch_n_alpha"]
    stretch, bend = infrared["measured_stretch_maximum"], infrared["measured_bend_maximum"]
    rows = [
        ["first peak of g(OO), height", f"{peak['g']:.2f}", f"{peak['measured'][1]:.2f}"],
        ["first peak of g(OO), Å (bins of 0.05)", f"{peak['r']:.2f}", f"{peak['measured'][0]:.2f}"],
        ["diffusion, 10⁻⁹ m²/s", f"{D['found']:.1f} ± {D['standard_error']:.1f}", f"{D['measured']:.1f}"],
        *bands("infrared", infrared, {"stretch": stretch, "bend": bend}),
        ["infrared, n·α at the maximum of the stretch, cm⁻¹", f"{height:,.0f}", f"{measured_height:,.0f}"],
        *bands("Raman", raman, {}),
        ["drift of the energy, eV/atom/ps", f"{conserved['drift']:.1e}", ""],
        ["mean temperature of NVE, K", f"{conserved['temperature']:.0f}", ""],
        ["density, g/cm³", f"{record['density_g_cm3']:.3f}, fixed", ""],
    ]
    text = WATER.format(
        forces=1e3 * record["forces"]["errors"]["forces"]["mae"],
        equilibration=settings["phases"][0]["steps"] * settings["dt"] / 1e3,
        production=settings["steps"] * settings["dt"] / 1e3,
        dt=settings["dt"],
    )
    missed = WATER_MISSED.format(
        stretch=infrared["stretch"]["maximum"] - stretch,
        bend=infrared["bend"]["maximum"] - bend,
        height=100 * (1 - height / measured_height),
        diffusion=D["measured"] - D["found"],
    )
    figure = "![Structure, infrared and Raman spectrum of liquid water](figures/water.svg)"
    return [text, table(["", "found", "measured"], rows), figure, missed]


def bands(kind: str, found: Record, measured: dict[str, float]) -> list[list[str]]:
    """Maximum and middle of every band of a spectrum."""
    return [
        [
            f"{kind}, {name}, maximum (middle), cm⁻¹",
            f"{found[name]['maximum']:.0f} ({found[name]['middle']:.0f})",
            f"{measured[name]:.0f}" if name in measured else "",
        ]
        for name in ("stretch", "bend", "libration")
        if name in found
    ]


def scaling(record: Record) -> list[str]:
    """Allegro in LAMMPS, here and by prediction."""
    published = record["published"]
    ours = next(row for row in record["weak"] if row["ranks"] == 1)
    theirs = next(row for row in published if row["atoms"] == ours["atoms"])
    headline = HEADLINE.format(here=ours["ns_per_day"], published=theirs["published"])
    rows = [[f"{row['atoms']:,.0f}", str(row["gpus"]), short(row["published"]), short(row["predicted"]),
             f"{row['ratio']:.2f}"] for row in published]  # fmt: skip
    worst = 100 * max(abs(row["ratio"] - 1) for row in published)
    network = {"bandwidth": NETWORK["bandwidth"] / 1e9, "latency": NETWORK["latency"] * 1e6}
    titles = ["atoms", "A100 GPUs", "published, ns/day", "formula, ns/day", "ratio"]
    curve = [CURVE.format(worst=worst, **network), table(titles, rows)]
    alone = [row for kind in ("strong", "weak") for row in record[kind] if not row["shared_cores"]]
    ratios = [row["seconds"] / row["predicted"] for row in alone]
    about = RANKS.format(low=min(ratios), high=max(ratios))
    return [headline, about, ranks(record), *curve, *predicted(record)]


def ranks(record: Record) -> str:
    """Steps by the number of ranks."""
    rows = []
    for kind in ("strong", "weak"):
        first = record[kind][0]["seconds"]
        for row in record[kind]:
            efficiency = first / row["seconds"] / (row["ranks"] if kind == "strong" else 1)
            number = f"{row['ranks']}{', sharing cores' if row['shared_cores'] else ''}"
            times = (f"{1e3 * row[key]:.1f}" for key in ("seconds", "predicted"))
            rows.append(
                [kind, number, f"{row['atoms']:,}", *times, f"{row['ns_per_day']:.1f}", f"{efficiency:.2f}"]
            )
    return table(["", "ranks", "atoms", "ms a step", "predicted, ms", "ns/day", "efficiency"], rows)


def predicted(record: Record) -> list[str]:
    """Large systems, on processes like the measured one."""
    points = [(row["atoms"], row["seconds"]) for row in record["kernel"]]
    machine = prediction.fitted(points, **NETWORK)
    theirs = {(row["atoms"], row["gpus"]): row["published"] for row in record["published"]}
    rows = []
    for row in prediction.predictions(machine, prediction.Matter()):
        size = (row["atoms"], row["processes"])
        published = short(theirs[size]) if size in theirs else ""
        numbers = (short(row[key], 2) for key in ("seconds", "ns_per_day"))
        rows.append([f"{size[0]:,.0f}", f"{size[1]:,}", *numbers, published])
    sizes = {"small": min(points)[0], "large": max(points)[0]}
    text = PREDICTED.format(per_atom=1e6 * machine.per_atom, start=1e3 * machine.start, **sizes)
    titles = ["atoms", "processes", "s a step", "ns/day at 2 fs", "published, ns/day on as many A100"]
    return [text, table(titles, rows)]


Section = dict[str, Callable[[Record], list[str]]]
SECTIONS: dict[str, Section] = {
    "Every engine against the reference": {"engines_verify": verify, "engines_python_free": python_free},
    "What an engine costs besides the model": {"engines_overhead": null_model, "engines_torchsim": torchsim},
    "Ring polymers": {"ring_polymer": ring_polymer, "ring_polymer_peer": ring_polymer_peer},
    "Ethanol with and without quantum nuclei": {"quantum_ethanol": quantum},
    "Quartz": {"quartz": quartz},
    "Liquid water": {"water": water},
    "Allegro over processes": {"scaling": scaling},
}


def page() -> str:
    """The whole page, of the result files that are there."""
    parts = [HEAD]
    for title, files in SECTIONS.items():
        found = {name: record for name in files if (record := read(name))}
        parts += [f"## {title}"] if found else []
        for name, record in found.items():
            parts += [source(name, record), *files[name](record)]
    return "\n\n".join(map(wrapped, parts)) + "\n"


def main() -> int:
    made = page()
    if "--check" in sys.argv:
        return int(not PAGE.exists() or PAGE.read_text(encoding="utf-8") != made)
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
