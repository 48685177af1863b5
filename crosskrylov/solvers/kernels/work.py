"""What a solver does, counted where somebody asks: products, preconditionings, vector operations.

Times say what an implementation takes on a machine, counts what a method asks for on any.  Kernels
report what they have done to `count`, which does nothing unless `counted_work` is active.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import scipy.sparse.linalg as spla

#: Operations of a product with a five-point matrix, per unknown: five multiplications, five sums.
PRODUCT_OPERATIONS = 10
#: Of an inner product, or of adding a multiple of one field to another.
VECTOR_OPERATIONS = 2
#: Of (14) as four dense products, per unknown and pixel of height and of width.
TRANSFORM_OPERATIONS = 4


@dataclass
class Work:
    """Operations on single fields, summed over all systems.

    Attributes
    ----------
    products : int
        Products with a matrix A.
    preconditioned : int
        Applications of P^-1 (Eq. 14).
    vectors : int
        Inner products, and additions of a multiple: orthogonalisation, projection, recurrences.
    """

    products: int = 0
    preconditioned: int = 0
    vectors: int = 0

    def equivalents(self, height: int, width: int) -> float:
        """Return the work in products with A, by arithmetic operations (Eq. 22c)."""
        transform = TRANSFORM_OPERATIONS * (height + width) / PRODUCT_OPERATIONS
        vector = VECTOR_OPERATIONS / PRODUCT_OPERATIONS
        return self.products + transform * self.preconditioned + vector * self.vectors


_ACTIVE: ContextVar[Work | None] = ContextVar("work", default=None)


@contextmanager
def counted_work() -> Iterator[Work]:
    """Count the work done inside the context; times taken there include the counting."""
    work = Work()
    token = _ACTIVE.set(work)
    try:
        yield work
    finally:
        _ACTIVE.reset(token)


def count(products: int = 0, preconditioned: int = 0, vectors: int = 0) -> None:
    """Report operations that were done."""
    work = _ACTIVE.get()
    if work is not None:
        work.products += int(products)
        work.preconditioned += int(preconditioned)
        work.vectors += int(vectors)


def counted_matrix(matrix):
    """Return a SciPy matrix, while somebody counts as an operator that reports its products."""
    if _ACTIVE.get() is None:
        return matrix

    def multiply(vector):
        count(products=1)
        return matrix @ vector

    return spla.LinearOperator(matrix.shape, matvec=multiply, dtype=matrix.dtype)
