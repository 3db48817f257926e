// With a file of assembly in the package, functions may have their bodies elsewhere.
