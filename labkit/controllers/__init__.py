"""Who writes objects: each controller looks at the whole state and says what it wants written.

`CONTROLLERS` lists them; `settle` runs them until none has anything left to do.
"""

from labkit.controllers.settle import CONTROLLERS, Controller, settle, step

__all__ = ["CONTROLLERS", "Controller", "settle", "step"]
