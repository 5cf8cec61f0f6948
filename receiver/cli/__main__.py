"""`python -m receiver.cli`, for where the command is not on the PATH."""

from receiver.cli import main

main()
