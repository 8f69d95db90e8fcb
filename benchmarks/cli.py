"""What the commands of this package have in common."""

import subprocess
import sys
from collections.abc import Callable

from iic.errors import InputError


def run_main(main: Callable[[list[str]], None]) -> None:
    """Run a command; on a mistake of the user or of the machine, exit with 1 and one line."""
    try:
        main(sys.argv[1:])
    except InputError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename or 'a file'}: {error.strerror or error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {' '.join(error.cmd)}: failed: {(error.stderr or '').strip()}")
    except KeyboardInterrupt:
        sys.exit("interrupted; what was finished is kept")
