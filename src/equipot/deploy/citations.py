"""What to cite for an architecture, as BibTeX."""

_BIBTEX = {
    "schnet": """\
@inproceedings{schutt2017schnet,
  title = {{SchNet}: A continuous-filter convolutional neural network for modeling quantum interactions},
  author = {Sch{\\"u}tt, Kristof T. and Kindermans, Pieter-Jan and Sauceda, Huziel E. and Chmiela, Stefan
    and Tkatchenko, Alexandre and M{\\"u}ller, Klaus-Robert},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {30},
  year = {2017},
  eprint = {1706.08566},
  archiveprefix = {arXiv}
}""",
    "painn": """\
@inproceedings{schutt2021equivariant,
  title = {Equivariant message passing for the prediction of tensorial properties and molecular spectra},
  author = {Sch{\\"u}tt, Kristof T. and Unke, Oliver T. and Gastegger, Michael},
  booktitle = {Proceedings of the 38th International Conference on Machine Learning},
  volume = {139},
  pages = {9377--9388},
  year = {2021},
  eprint = {2102.03150},
  archiveprefix = {arXiv}
}""",
    "allegro": """\
@article{musaelian2023learning,
  title = {Learning local equivariant representations for large-scale atomistic dynamics},
  author = {Musaelian, Albert and Batzner, Simon and Johansson, Anders and Sun, Lixin and Owen, Cameron J.
    and Kornbluth, Mordechai and Kozinsky, Boris},
  journal = {Nature Communications},
  volume = {14},
  pages = {579},
  year = {2023},
  doi = {10.1038/s41467-023-36329-y},
  eprint = {2204.05249},
  archiveprefix = {arXiv}
}""",
    "mace": """\
@inproceedings{batatia2022mace,
  title = {{MACE}: Higher order equivariant message passing neural networks for fast and accurate force fields},
  author = {Batatia, Ilyes and Kov{\\'a}cs, D{\\'a}vid P{\\'e}ter and Simm, Gregor N. C. and Ortner, Christoph
    and Cs{\\'a}nyi, G{\\'a}bor},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {35},
  year = {2022},
  eprint = {2206.07697},
  archiveprefix = {arXiv}
}""",
    "ictp": """\
@inproceedings{zaverkin2024higher,
  title = {Higher-rank irreducible {Cartesian} tensors for equivariant message passing},
  author = {Zaverkin, Viktor and Alesiani, Francesco and Maruyama, Takashi and Errica, Federico
    and Christiansen, Henrik and Takamoto, Makoto and Weber, Nicolas and Niepert, Mathias},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {37},
  year = {2024},
  eprint = {2405.14253},
  archiveprefix = {arXiv}
}""",
    "nequip": """\
@article{batzner2022e3,
  title = {E(3)-equivariant graph neural networks for data-efficient and accurate interatomic potentials},
  author = {Batzner, Simon and Musaelian, Albert and Sun, Lixin and Geiger, Mario and Mailoa, Jonathan P.
    and Kornbluth, Mordechai and Molinari, Nicola and Smidt, Tess E. and Kozinsky, Boris},
  journal = {Nature Communications},
  volume = {13},
  pages = {2453},
  year = {2022},
  doi = {10.1038/s41467-022-29939-5},
  eprint = {2101.03164},
  archiveprefix = {arXiv}
}""",
    "tensornet": """\
@inproceedings{simeon2023tensornet,
  title = {{TensorNet}: {Cartesian} tensor representations for efficient learning of molecular potentials},
  author = {Simeon, Guillem and De Fabritiis, Gianni},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {36},
  year = {2023},
  eprint = {2306.06482},
  archiveprefix = {arXiv}
}""",
    "segnn": """\
@inproceedings{brandstetter2022geometric,
  title = {Geometric and physical quantities improve {E(3)} equivariant message passing},
  author = {Brandstetter, Johannes and Hesselink, Rob and van der Pol, Elise and Bekkers, Erik J. and Welling, Max},
  booktitle = {International Conference on Learning Representations},
  year = {2022},
  eprint = {2110.02905},
  archiveprefix = {arXiv}
}""",
}


def bibtex(architecture: str) -> str:
    """The paper of an architecture; ValueError when the table lacks it: a new model brings its own."""
    if architecture not in _BIBTEX:
        raise ValueError(f"no citation for {architecture!r}: add the paper to deploy/citations.py.")
    return _BIBTEX[architecture]
