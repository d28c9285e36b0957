"""`python -m occmask`."""

from .cli import main

raise SystemExit(main())
