"""What a training run must remember to go on as if it had never stopped."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from equipot.train.loop import Trainer


def snapshot(trainer: "Trainer") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, and a record of plain numbers."""
    tensors = {f"model.{n}": p.detach() for n, p in trainer.potential.named_parameters()}
    tensors |= trainer.averages.state()
    for index, parameter in enumerate(_parameters(trainer.optimizer)):
        for key, value in trainer.optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value)
    record = {
        "step": trainer.step,
        "seconds": trainer.seconds,
        "finished": trainer.finished,
        "plan": trainer.plan.model_dump(),
        "clipping": {
            "history": trainer.clipping.history,
            "clipped": trainer.clipping.clipped,
            "skipped": trainer.clipping.skipped,
        },
        "plateau": {k: getattr(trainer.plateau, k) for k in ("best", "waited", "value")},
        "patience": {k: getattr(trainer.patience, k) for k in ("best", "waited")},
    }
    return {n: t.contiguous() for n, t in tensors.items()}, record


def restore(trainer: "Trainer", tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Put everything back."""
    with torch.no_grad():
        for name, parameter in trainer.potential.named_parameters():
            parameter.copy_(tensors[f"model.{name}"])
    trainer.averages.load(tensors)
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            index, _, key = rest.partition(".")
            state.setdefault(int(index), {})[key] = value.clone()
    groups = trainer.optimizer.state_dict()["param_groups"]
    trainer.optimizer.load_state_dict({"state": state, "param_groups": groups})
    trainer.step, trainer.seconds = record["step"], record["seconds"]
    trainer.finished = record["finished"]
    for part in ("clipping", "plateau", "patience"):
        for key, value in record[part].items():
            setattr(getattr(trainer, part), key, value)


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]
