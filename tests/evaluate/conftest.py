from contract.conftest import architecture, dtype

__all__ = ["architecture", "dtype"]
