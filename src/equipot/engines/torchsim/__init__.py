"""TorchSim: many systems in one call, as its model and at `equipot md --engine torchsim`."""
