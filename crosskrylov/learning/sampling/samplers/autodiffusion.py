"""AutoDiffusion: DDIM on searched time steps (Li et al., 2023)."""

from crosskrylov.learning.sampling.registry import register
from crosskrylov.learning.sampling.search import Kind, SearchedSteps


@register(
    "autodiffusion",
    about="DDIM on levels that an evolution has searched",
    order=None,
    evaluations_per_step=1,
    stochastic=False,
    fewest=3,
)
class AutoDiffusion(SearchedSteps):
    """DDIM whose levels between the two ends are searched (Eq. 29z), beginning with equal steps.

    The published search is for the Frechet distance of thousands of samples, and for layers of the
    network to leave out too; this one is for the distance from fine trajectories, and for levels.

    Parameters
    ----------
    noises : int
        Trajectories that the levels are fitted to.
    fine_steps : int
        Network calls of a fine trajectory.
    population, epochs : int
        Candidates per generation, and generations (published: 50, 10). A population of 0 is equal
        steps.
    seed : int
        Of the noises and of the search.
    """

    name = "autodiffusion"
    kinds = (Kind(1, "noise", False),)

    def __init__(
        self,
        noises: int = 32,
        fine_steps: int = 200,
        population: int = 50,
        epochs: int = 10,
        seed: int = 0,
    ):
        super().__init__(noises, fine_steps, population, epochs, seed)
