"""The log-density Fokker-Planck equation: density, stencil, assembly, transforms, exact form."""
