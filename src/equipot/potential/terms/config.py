"""The `terms:` section of a configuration."""

from equipot.config import Config


class TermsConfig(Config):
    """Fixed energy terms, added to the energies of the atoms. The model learns what they leave."""

    zbl: bool = (
        False  # screened repulsion of nuclei closer than the sum of their covalent radii; for dynamics
    )

    def names(self) -> tuple[str, ...]:
        """What there is to add."""
        return ("zbl",) * self.zbl

    @property
    def any(self) -> bool:
        """Whether there is anything to add."""
        return bool(self.names())
