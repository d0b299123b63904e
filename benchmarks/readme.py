"""The tables of numbers in the README, made from the committed result files.

python benchmarks/readme.py           # rewrites the README between its markers
python benchmarks/readme.py --check   # says whether it is up to date
"""

import json
import sys
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- demo-numbers -->", "<!-- /demo-numbers -->"
MILLIDEBYE = 4803.20467299766


def read(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def where(result: dict[str, Any]) -> str:
    machine = result["machine"]
    return f"{machine['cpu']}, {machine['cores']} cores, {result['date'][:10]}, commit {result['commit'][:7]}"


def demo(result: dict[str, Any]) -> list[str]:
    test = result["test"]
    rows = [
        ("energy", f"{1e3 * test['energy']['mae']:.1f} meV"),
        ("forces", f"{1e3 * test['forces']['mae']:.1f} meV/Å"),
        ("dipole, per component", f"{MILLIDEBYE * test['dipole']['mae']:.1f} mD"),
        ("polarizability, per component", f"{test['polarizability']['mae']:.4f} Å³"),
    ]
    seconds = result["seconds"]
    steps = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
    lines = [
        f"**Demo** (`python benchmarks/accuracy/demo.py`; {where(result)}): "
        f"{result['seconds_in_all'] / 60:.1f} minutes ({steps}).",
        "",
        "| mean absolute error on the test set | |",
        "|---|---|",
        *(f"| {a} | {b} |" for a, b in rows),
        "",
    ]
    for name, modes in result["harmonic"].items():
        lines.append(
            f"Harmonic frequencies of the {name} conformer: mean absolute difference from DFT "
            f"{modes['mean_absolute_difference']:.1f} 1/cm over {len(modes['dft'])} modes."
        )
    peaks = [p for p in result["infrared_peaks"] if p["harmonic_dft"] is not None]
    strongest = sorted(sorted(peaks, key=lambda p: -p["area"])[:6], key=lambda p: p["position"])
    lines += [
        "",
        "| strongest infrared peaks of the dynamics, 1/cm | area, km/mol | harmonic DFT there, 1/cm | km/mol |",
        "|---|---|---|---|",
        *(
            f"| {p['position']:.0f} ± {p['error']:.0f} | {p['area']:.0f} | {p['harmonic_dft']:.0f} |"
            f" {p['intensity_dft']:.0f} |"
            for p in strongest
        ),
        "",
        "Peaks of classical dynamics lie below harmonic lines where the surface is anharmonic, most for X-H",
        "stretches.",
    ]
    return lines


def aspirin(result: dict[str, Any]) -> list[str]:
    test, published = result["test"], result["published"]
    return [
        f"**rMD17 aspirin**, PaiNN as published, 950 + 50 frames (`{result['command']}`; {where(result)}): "
        f"forces {1e3 * test['forces']['mae']:.1f} meV/Å, energy {1e3 * test['energy']['mae']:.1f} meV after "
        f"{result['epochs']:.0f} epochs, {result['training_seconds'] / 60:.0f} minutes on one thread. "
        f"Published (MD17): {published['forces_mae_meV_per_A']} meV/Å, {published['energy_mae_meV']} meV.",
    ]


def three_bpa(result: dict[str, Any]) -> list[str]:
    """The runs with all frames, one seed each, by their error at 1200 K."""
    runs = [e for e in result["runs"].values() if e["frames"]["train"] == 450 and e["seed"] == 1]
    tests = ("300 K", "600 K", "1200 K")
    lines = [
        "**3BPA**, trained at 300 K (`python benchmarks/accuracy/three_bpa.py 3bpa --budget 10min`; "
        f"{where(runs[0])}): RMSE of the forces, meV/Å. More, and learning curves, in [accuracy](docs/accuracy.md).",
        "",
        f"| | training | {' | '.join(tests)} |",
        "|---|---|---|---|---|",
    ]
    for entry in sorted(runs, key=lambda e: e["errors"]["1200 K"]["forces"]["rmse"]):
        cells = [f"{1e3 * entry['errors'][t]['forces']['rmse']:.0f}" for t in tests]
        minutes = f"{entry['budget_seconds'] / 60:.0f} min on one core"
        lines.append(f"| {entry['model']['name']}, {entry['size']} | {minutes} | {' | '.join(cells)} |")
    for name, numbers in result["published"].items():
        if name in ("MACE L=2", "NequIP L=3"):
            cells = [f"{numbers[t][1]:.0f}" for t in tests]
            lines.append(f"| {name}, published | hours on a GPU | {' | '.join(cells)} |")
    return lines


def same_time(result: dict[str, Any]) -> list[str]:
    """Two architectures by their packages and by equipot, at five minutes and at the longest time of both."""
    lines = [
        "**In the same time**, the same architecture by its package and by equipot, each with its documented recipe "
        "and a schedule scaled to the time, 3BPA, one thread (`python benchmarks/accuracy/equal_time/equal_time.py "
        "DATA`): RMSE of the forces at 300 / 1200 K, meV/Å, and the minutes of processor that were really taken. "
        "Minutes say little of hours on a GPU. Longer and shorter, tuned, and with each other's recipes: "
        "[accuracy](docs/accuracy.md#the-same-time-for-everybody).",
        "",
        "| | by its package | by equipot | measured |",
        "|---|---|---|---|",
    ]
    for arm, name in {"mace": "MACE", "nequip": "NequIP"}.items():
        sides = [_by_minutes(result, arm), _by_minutes(result, f"equipot-{arm}")]
        both = sorted(sides[0].keys() & sides[1].keys())
        for minutes in dict.fromkeys((5.0, both[-1])):
            seeds = min(len(side[minutes]) for side in sides)
            label = f"{name}, {minutes:.0f} min" + (f", {seeds} seeds" if seeds > 1 else "")
            firsts = [side[minutes][0] for side in sides]
            made = [f"{e['machine']['cpu']}, {e['date'][:10]}, {e['commit'][:7]}" for e in firsts]
            alike = firsts[0]["machine"]["cpu"] == firsts[1]["machine"]["cpu"]
            measured = made[0] if alike else f"two machines: {'; '.join(made)}"
            lines.append(f"| {label} | {' | '.join(_forces(side[minutes]) for side in sides)} | {measured} |")
    return lines


def _by_minutes(result: dict[str, Any], arm: str) -> dict[float, list[dict[str, Any]]]:
    runs: dict[float, list[dict[str, Any]]] = {}
    for entry in result["runs"].values():
        if entry["arm"] == arm:
            runs.setdefault(entry["budget_seconds"] / 60, []).append(entry)
    return runs


def _forces(entries: list[dict[str, Any]]) -> str:
    cells = [
        f"{1e3 * mean(e['errors'][test]['forces']['rmse'] for e in entries):.0f}"
        for test in ("300 K", "1200 K")
    ]
    return f"{' / '.join(cells)} ({mean(e['cpu_seconds'] for e in entries) / 60:.0f} min)"


CASES = {
    "aspirin": "aspirin, 21 atoms",
    "aspirin64": "64 aspirins",
    "water192": "water, 192 atoms",
    "water1536": "water, 1,536 atoms",
    "train": "training step, 8 × 27 atoms",
}
PEERS = {
    **{"painn": "SchNetPack PaiNN", "painn-torchscript": "SchNetPack PaiNN, TorchScript"},
    **{"schnet": "SchNetPack SchNet", "nequip": "NequIP", "nequip-aoti": "NequIP, AOTInductor"},
    **{"nequip-compile": "NequIP, compiled", "allegro": "Allegro", "allegro-aoti": "Allegro, AOTInductor"},
    **{"allegro-compile": "Allegro, compiled", "mace": "MACE", "mace-torchscript": "MACE, TorchScript"},
    "tensornet": "TensorNet (torchmd-net)",
}


def speed(result: dict[str, Any]) -> list[str]:
    """Ratios, peer over equipot, and our milliseconds."""
    runs = [e for e in result["runs"].values() if e["threads"] == 2 and e["allocator"] == "keep"]
    first = runs[0]
    machine = first["machine"]
    lines = [
        f"**Beside the packages they come from**, same hyper-parameters and structures, float32, {first['threads']} "
        "threads, each pair in turns in one run (`python benchmarks/speed/peers.py`; "
        f"{machine['cpu']}, {machine.get('vectors', 'AVX2')}): how many times as long they take, and our milliseconds. "
        "Energy and forces as calculators compute them, neighbor lists made before.",
        "",
        f"| | {' | '.join(CASES.values())} | measured |",
        "|---" * (2 + len(CASES)) + "|",
    ]
    for pair, name in PEERS.items():
        own = {e["case"]: e for e in runs if e["pair"] == pair}
        if own:
            times = sorted({f"{e['date'][:10]}, {e['commit'][:7]}" for e in own.values()})
            cells = [*(_ratio(own.get(case)) for case in CASES), "; ".join(times)]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    failed = [e for e in runs if "failed" in e]
    if failed:
        names = "; ".join(f"{PEERS[e['pair']]}, {CASES[e['case']]} ({e['failed']})" for e in failed)
        lines += ["", f"Did not finish on this machine: {names}."]
    return lines


def _ratio(entry: dict[str, Any] | None) -> str:
    if entry is None or "failed" in entry:
        return "" if entry is None else "failed"
    return f"**{entry['ratio']:.1f}** ({entry['equipot']['milliseconds']:.3g} ms)"


def quartz(result: dict[str, Any]) -> list[str]:
    found, frames = result["phonons"], result["frames"]
    return [
        f"**α-quartz**, {frames['train']} training frames with Born charges and polarizabilities "
        f"(`python benchmarks/spectra/quartz.py DATA`; {where(result)}): phonons at Γ within "
        f"{found['mean_absolute_difference_cm-1']:.1f} 1/cm of DFPT on the mean, "
        f"{found['largest_difference_cm-1']:.1f} at most; infrared intensities "
        f"{found['infrared_sum_km_mol']:.0f} km/mol in all, DFPT {found['infrared_sum_dfpt_km_mol']:.0f}. "
        "[Figure](docs/figures/quartz_spectra.png).",
    ]


def water(result: dict[str, Any]) -> list[str]:
    D, peak, infrared = result["diffusion_1e-9_m2_s"], result["first_peak_OO"], result["infrared"]
    return [
        "**Liquid water**, 64 molecules, revPBE0-D3, classical nuclei (`python benchmarks/spectra/water.py DATA`; "
        f"{where(result)}), in parentheses measured: first peak of g(OO) {peak['g']:.2f} at {peak['r']:.2f} Å "
        f"({peak['measured'][1]} at {peak['measured'][0]:.2f}), diffusion {D['found']:.1f} ± {D['standard_error']:.1f} "
        f"({D['measured']}) 10⁻⁹ m²/s, infrared stretch at {infrared['stretch']['maximum']:.0f} 1/cm "
        f"({infrared['measured_stretch_maximum']:.0f}). [Figure](docs/figures/water.svg), "
        "[why](docs/how-to/periodic-spectra.md#what-it-gives-for-liquid-water).",
    ]


def quantum_nuclei(result: dict[str, Any]) -> list[str]:
    bands = [f"{name} {_pair(band['ir']['shift_cm-1'])} 1/cm" for name, band in result["bands"].items()]
    run = result["runs"]["trpmd"]
    return [
        "**Ethanol with quantum nuclei** (`python benchmarks/spectra/quantum_ethanol.py`; "
        f"{where(result)}): infrared bands from classical to T-RPMD dynamics of {run['picoseconds']:g} ps: "
        f"{', '.join(bands)}. [Quantum nuclei](docs/how-to/quantum-nuclei.md).",
    ]


def _pair(pair: list[float]) -> str:
    return f"{pair[0]:.0f} ± {pair[1]:.0f}"


def engines(result: dict[str, Any]) -> list[str]:
    worst: dict[str, float] = {}
    for proof in (p for proofs in result["models"].values() for p in proofs):
        name = proof["name"].split()[0]
        worst[name] = max(worst.get(name, 0.0), proof["value"])
    found = ", ".join(f"{name} {result['engines'][name]}: {value:.0e}" for name, value in worst.items())
    return [
        f"**Engines against the reference**, {len(result['models'])} architectures, largest relative difference of "
        "energies, forces, stresses and three steps (`python benchmarks/engines/verify.py`; "
        f"{where(result)}): {found}.",
    ]


def tables() -> str:
    parts = []
    results = {
        **{"demo": demo, "rmd17_aspirin_painn": aspirin, "three_bpa": three_bpa},
        "equal_time_3bpa": same_time,
        **{"quartz": quartz, "water": water, "quantum_ethanol": quantum_nuclei, "engines_verify": engines},
        "speed_peers": speed,
    }
    for name, make in results.items():
        result = read(name)
        if result is not None:
            parts.append("\n".join(make(result)))
    return "\n\n".join(parts)


def main() -> int:
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    made = f"{before}{BEGIN}\n{tables()}\n{END}{after}"
    if "--check" in sys.argv:
        return int(made != text)
    path.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
