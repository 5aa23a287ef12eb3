"""Try what a machine offers, as a user does: the program ds-stack-self-test.

It is started before an image is made of the machine, and on the first boot of a machine of the image, by the
distribution's own Python: what it tries must not be what it runs on.
"""
