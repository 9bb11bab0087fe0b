"""python -m adrgd"""

from adrgd.cli import main

main()
