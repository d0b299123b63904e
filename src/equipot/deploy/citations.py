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
}


def bibtex(architecture: str) -> str:
    """The paper of an architecture; ValueError when the table lacks it: a new model brings its own."""
    if architecture not in _BIBTEX:
        raise ValueError(f"no citation for {architecture!r}: add the paper to deploy/citations.py.")
    return _BIBTEX[architecture]
