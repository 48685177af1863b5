"""USF: every step's level, order, form and corrector searched (Liu et al., 2024)."""

from crosskrylov.learning.sampling.registry import register
from crosskrylov.learning.sampling.search import EVERY_KIND, SearchedSteps


@register(
    "usf",
    about="exponential multistep steps whose level, order, form and corrector are searched",
    order=None,
    evaluations_per_step=1,
    stochastic=False,
    fewest=3,
)
class Usf(SearchedSteps):
    """Levels, orders 1 to 3, noise or image, corrector or none, searched step by step (Eq. 29z).

    DDIM, DPM-Solver, DPM-Solver++ and UniPC on equal steps are among the first candidates. The
    published search is for the Frechet distance, guided by a predictor of it, and chooses estimates
    of the derivatives too; this one is AutoDiffusion's evolution, for the distance from fine
    trajectories.

    Parameters
    ----------
    noises : int
        Trajectories that the steps are fitted to.
    fine_steps : int
        Network calls of a fine trajectory.
    population, epochs : int
        Candidates per generation, and generations (AutoDiffusion's: 50, 10). A population of 0 is
        the best of the first candidates that have equal steps.
    seed : int
        Of the noises and of the search.
    """

    name = "usf"
    kinds = EVERY_KIND

    def __init__(
        self,
        noises: int = 32,
        fine_steps: int = 200,
        population: int = 50,
        epochs: int = 10,
        seed: int = 0,
    ):
        super().__init__(noises, fine_steps, population, epochs, seed)
