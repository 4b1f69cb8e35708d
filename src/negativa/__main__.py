"""`python -m negativa`."""

from negativa.apps.cli.main import main

main()
