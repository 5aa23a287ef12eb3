"""ds-stack-init: makes a booted image the machine of its stack, and keeps it so.

Each step looks at what is there and does what is missing, so that running it again changes nothing.
The modules named after a thing (`accounts`, `volume`, `certificate` ...) each have pure functions that
decide, which the tests know by tables, and thin ones that carry it out.
"""
