"""Multi-scale segmentation guided masks for occmask (MSML, AAAI 2022).

A branch on the picture segments what covers the face; operators at several levels of the trunk mask its maps with what
the branch saw.  Everything is found by name through entry points; importing this package imports nothing else.
"""
