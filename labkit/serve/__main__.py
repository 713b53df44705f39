"""`python -m labkit.serve dns DATA --port 5353`"""

import sys

from labkit.serve.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
