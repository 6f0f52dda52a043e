"""The Rust half of trunkline, as one Python module; `__init__.pyi` beside this file is its typed face.

maturin places the compiled extension inside this package; everything it defines is re-exported here under `_trunkline`.
"""

from ._trunkline import *  # noqa: F403  (the extension's whole namespace is the module)
from ._trunkline import __version__ as __version__
