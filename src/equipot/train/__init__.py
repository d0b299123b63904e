"""Training: data, loss, loop, checkpoints. The package can be called, since `equipot.train(...)` is also the verb."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    """Importing a submodule binds `equipot.train` to this package, whatever `equipot` itself says the name is."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Train: see `equipot.api.train`."""
        return import_module("equipot.api").train(*args, **options)


sys.modules[__name__].__class__ = _Verb
