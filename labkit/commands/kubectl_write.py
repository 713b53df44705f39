from __future__ import annotations

apply = delete = label = scale = run = exec_ = logs = None
