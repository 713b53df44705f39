"""`python -m tests.golden` writes every kept print-out anew; read the diff before committing it."""

from tests.golden.texts import GOLDEN, HERE

for name, text in GOLDEN.items():
    (HERE / name).write_text(text(), encoding="utf-8")
    print(f"tests/golden/{name}")
