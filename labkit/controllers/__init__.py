"""Who writes objects: each controller looks at the whole state and says what it wants written.

`CONTROLLERS` lists them; `settle` runs them until none has anything left to do, `passing` lets
time bring them more.
"""

from labkit.controllers.due import due, passing, ripening
from labkit.controllers.settle import CONTROLLERS, Controller, settle, step

__all__ = ["CONTROLLERS", "Controller", "due", "passing", "ripening", "settle", "step"]
