"""`python -m iic.cli`: the command line of the code in this folder, wherever `iic` is installed."""

from iic.cli.main import main

main()
