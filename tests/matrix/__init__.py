"""The suite on the servers and the Python of several Debian releases: ``make matrix``.

A row of the matrix is a Debian release. The release of the machine itself is tested as it is. Any
other one gets a folder of its own by debootstrap, with that release's Python and servers in it.
"""
