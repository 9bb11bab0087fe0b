"""The solvers behind the base classes of other attack libraries: one module a library, each with its customs.

Importing a module of this room imports the library it is named after.
"""
