"""`python -m tests.conformance SUBJECT FILE.jsonl`"""

import sys

from tests.conformance.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
