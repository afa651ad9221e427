"""How fast calsyncd is, beside the limit of what it is made of: `make bench`.

Each measure runs the real daemon (or the real store) and, in the same run and in turns with it, the least that could
do the same job: a bare timer, one synced write, an empty handler, sqlite3 itself, the libraries alone. A figure without
its limit says more about the machine than about the program.
"""
