"""The demo: the real daemon beside the sandbox, a scripted day, and buttons to interfere with it.

The daemon runs as a process of its own. Its only difference is the clock that it is given: one that can be stopped and
sped up, and which the sandbox reads too.
"""
