"""A backbone, its heads, and the derivatives of the energy, taken once and here."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from pydantic import ConfigDict
from torch import Tensor, nn

from equipot.batch import AtomicBatch, AtomicVector, Condition, readable
from equipot.config import Config, nearest
from equipot.models import ModelConfig, build_model
from equipot.potential.blocks import in_blocks
from equipot.potential.conditions import Conditions
from equipot.potential.heads import BornCharges, CartesianTensor, Charges, Dipole, IrrepsHead, Polarizability
from equipot.potential.lift import Lift
from equipot.potential.per_element import PerElement
from equipot.potential.targets import TargetsConfig
from equipot.potential.terms import Terms, TermsConfig
from equipot.potential.virials import atomic_virials
from equipot.properties import Properties, from_items
from equipot.statistics import Statistics, TargetStatistics
from equipot.tensor.features import Features, in_spherical
from equipot.tensor.irreps import SCALAR, Irrep, Irreps

DERIVED = ("atomic_energies", "forces", "stress", "virials")  # what comes with an energy and has no head


class PotentialConfig(Config):
    """Everything that, with the statistics of the training set, determines a potential."""

    model_config = ConfigDict(title="potential")

    model: ModelConfig
    targets: TargetsConfig = TargetsConfig()
    terms: TermsConfig = TermsConfig()
    outputs: tuple[str, ...] | None = (
        None  # irreps that the backbone is built for; none: those that the targets read
    )

    def outputs_read(self) -> frozenset[Irrep]:
        """What the backbone makes for the heads: fine-tuning adds heads to one that was built for others."""
        return (
            self.targets.irreps_read() if self.outputs is None else frozenset(map(Irrep.parse, self.outputs))
        )


@dataclass(frozen=True, kw_only=True)
class Derivatives:
    """Which derivatives of the energy are asked for."""

    forces: bool
    stress: bool
    virials: bool


class Potential(nn.Module):
    """Energy, forces, stress and every other target of a batch of systems.

        E = Σ_i σ e_i + m + μ_{z_i} + Σ_terms E_i^term
        F = −∂E/∂r,   stress = (1/V) ∂E/∂ε  under  r → r + r·ε, cell → cell + cell·ε

    σ: RMS force; m: mean cohesion; μ: reference energies; terms: physics that need not be learned. The backbone runs
    in the precision of its parameters; geometry, terms, reference energies and sums are float64.
    """

    def __init__(self, config: PotentialConfig, statistics: Statistics) -> None:
        super().__init__()
        self.config, self.statistics = config, statistics
        self.model = build_model(config.model, statistics, config.outputs_read())
        irreps = self.model.irreps
        self.conditions = Conditions(irreps, self.conditions_read) if config.model.conditions else None
        self.lift = Lift(irreps, config.model.cutoff) if _needs_vectors(config.targets, irreps) else None
        energy = {"energy": self.model.energy_readout()} if config.targets.energy is not None else {}
        others = _build_heads(config.targets, self.lift.irreps if self.lift else irreps, statistics)
        self.heads = nn.ModuleDict({**energy, **others})
        self.reference_energies = PerElement(statistics.reference_energies)
        self.terms = Terms(config.terms, statistics.elements, config.model.cutoff)
        if config.terms.any and config.targets.energy is None:
            raise ValueError(
                "terms add to an energy, and targets.energy is null. Leave one of the two keys out."
            )
        self.block: int | None = None  # edges that a CPU evaluates together; none: all. See potential.blocks

    @property
    def cutoff(self) -> float:
        """Radius of the neighbour list, Å."""
        return self.config.model.cutoff

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers it knows; `species` is an index into them."""
        return self.statistics.elements

    @property
    def inputs(self) -> tuple[AtomicVector, ...]:
        """Covariant inputs of the atoms that it reads."""
        return self.config.model.atomic_inputs

    @property
    def conditions_read(self) -> dict[Condition, tuple[float, ...]]:
        """Charge or multiplicity of the systems where it reads them, with the values that it knows."""
        return {name: self.statistics.conditions.get(name, ()) for name in self.config.model.conditions}

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of what it predicts, derivatives of the energy left out."""
        return tuple(self.heads)

    def forward(
        self,
        batch: AtomicBatch,
        *,
        forces: bool = False,
        stress: bool = False,
        virials: bool = False,
        targets: Collection[str] | None = None,
        create_graph: bool = False,
    ) -> Properties:
        """Evaluate the targets (all of them when None); `create_graph` keeps what training on forces needs.

        Virials are those of every atom, `potential.virials.atomic_virials`. Raises ValueError for a target that the
        model does not have.
        """
        wanted = set(self.heads) if targets is None else self._known(targets)
        if forces or stress or virials:
            if "energy" not in self.heads:
                raise ValueError(
                    f"forces, stress and virials need an energy; this model predicts {', '.join(self.targets)}."
                )
            with torch.enable_grad():
                derivatives = Derivatives(forces=forces, stress=stress, virials=virials)
                return self._with_derivatives(batch, wanted | {"energy"}, derivatives, create_graph)
        return self._evaluate(batch, wanted)

    def _known(self, targets: Collection[str]) -> set[str]:
        """The heads that are asked for; derivatives of the energy may be named, and are asked for by their flags."""
        derived = DERIVED if "energy" in self.heads else ()
        for name in targets:
            if name not in self.heads and name not in derived:
                raise ValueError(f"this model has no target {name!r}.{nearest(name, self.targets)}")
        return set(targets) & set(self.heads)

    def features(self, batch: AtomicBatch) -> Features:
        """What the heads read: those of the backbone in spherical components, with conditions and vectors."""
        features = in_spherical(self.model(batch), self.model.basis)
        if self.conditions is not None:
            features = self.conditions(features, batch)
        return features if self.lift is None else self.lift(features, batch)

    def _evaluate(self, batch: AtomicBatch, wanted: set[str]) -> Properties:
        most = self.block if batch.senders.is_cpu and wanted == {"energy"} else None
        if most is not None and len(batch.senders) > most:
            learned = in_blocks(self._learned_energies, batch, most)
            return from_items(self._energies(learned, batch))
        features = self.features(batch)
        out: dict[str, Tensor] = {}
        if "energy" in wanted:
            out = self._energies(self.heads["energy"](features).double(), batch)
        for name, head in self.heads.items():  # in this order: that of a set changes between processes
            if name in wanted and name != "energy":
                out[name] = head(features, batch)
        return from_items(out)

    def _learned_energies(self, batch: AtomicBatch) -> Float[Tensor, " atoms"]:
        """e_i alone, of the features that every backbone has."""
        return self.heads["energy"](in_spherical(self.model(batch), self.model.basis)).double()

    def _energies(self, learned: Float[Tensor, " atoms"], batch: AtomicBatch) -> dict[str, Tensor]:
        fixed = self.constant_energies(batch.species) + self.terms(batch)
        atomic = self.statistics.energy_scale * learned + fixed
        return {"atomic_energies": atomic, "energy": batch.sum_over_systems(atomic)}

    def constant_energies(self, species: Int[Tensor, " atoms"]) -> Float[Tensor, " atoms"]:
        """What an atom has of itself, eV: the reference energy of its element and the mean cohesion."""
        return self.reference_energies(species) + self.statistics.energy_shift

    def _with_derivatives(
        self, batch: AtomicBatch, wanted: set[str], asked: "Derivatives", create_graph: bool
    ) -> Properties:
        positions = batch.positions.detach().requires_grad_(True)
        strain = torch.zeros_like(batch.cell)
        moved = batch.with_positions(positions)
        if asked.stress:
            strain.requires_grad_(True)
            moved = moved.strained(strain)
        if asked.virials:
            moved = moved.with_edge_vectors()
        out = self._evaluate(moved, wanted)
        assert out.energy is not None
        inputs = [positions] * asked.forces + [strain] * asked.stress
        inputs += [moved.vectors()] if asked.virials else []
        gradients = list(torch.autograd.grad(out.energy.sum(), inputs, create_graph=create_graph))
        values = dict(out.items())
        if asked.forces:
            values["forces"] = -gradients.pop(0)
        if asked.stress:
            values["stress"] = _per_volume(gradients.pop(0), batch)
        if asked.virials:
            values["virials"] = atomic_virials(gradients.pop(0), moved.vectors(), batch)
        result = from_items(values)
        return result if create_graph else result.detach()


def _per_volume(virial: Float[Tensor, "systems 3 3"], batch: AtomicBatch) -> Float[Tensor, "systems 3 3"]:
    """∂E/∂ε over the volume of the cell; NaN, unknown, for the systems of a mixed batch that have none."""
    periodic = batch.pbc.all(-1)
    if readable(periodic) and not bool(periodic.any()):
        raise ValueError(
            "stress needs a cell that is periodic in three directions; ask for energy and forces only."
        )
    volume = torch.where(periodic, batch.volume(), 1.0)[:, None, None]
    return torch.where(periodic[:, None, None], virial / volume, torch.nan)


def _needs_vectors(targets: TargetsConfig, irreps: Irreps) -> bool:
    if "1o" in irreps:
        return False
    named = (targets.dipole, targets.born_charges, targets.polarizability)
    return any(t is not None for t in named) or any(
        t.irreps is None or Irreps.parse(t.irreps).labels != (SCALAR,) for t in targets.tensors.values()
    )


def _build_heads(targets: TargetsConfig, irreps: Irreps, statistics: Statistics) -> dict[str, nn.Module]:
    charge = None if targets.total_charge == "frame" else float(targets.total_charge)
    elements = statistics.elements
    heads: dict[str, nn.Module] = {}
    if targets.charges is not None:
        heads["charges"] = Charges(irreps, _measured(statistics, "charges", 1), charge)
    if targets.dipole is not None:
        heads["dipole"] = Dipole(irreps, targets.dipole, _measured(statistics, "dipole", 1), elements, charge)
    if targets.born_charges is not None:
        heads["born_charges"] = BornCharges(irreps, _measured(statistics, "born_charges", 3), charge)
    if targets.polarizability is not None:
        measured = _measured(statistics, "polarizability", 2)
        heads["polarizability"] = Polarizability(irreps, targets.polarizability, measured, elements)
    for name, target in targets.tensors.items():
        num_scales = 1 if target.irreps is None else len(tuple(Irreps.parse(target.irreps)))
        head = CartesianTensor if target.irreps is None else IrrepsHead
        heads[name] = head(irreps, target, _measured(statistics, name, num_scales))
    return heads


def _measured(statistics: Statistics, name: str, num_scales: int) -> TargetStatistics:
    """What was measured of a target; ones and zeros for a model that has not seen data."""
    return statistics.targets.get(
        name, TargetStatistics(baseline=(0.0,) * len(statistics.elements), scales=(1.0,) * num_scales)
    )
