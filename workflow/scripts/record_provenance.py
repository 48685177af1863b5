"""Record the configuration in force, the machine and the versions of the main packages."""

from typing import TYPE_CHECKING

import pandas as pd
import yaml

from crosskrylov.runtime.files import atomic_path, write_tsv
from crosskrylov.runtime.jobs import run_job
from crosskrylov.runtime.provenance import machine

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(table_path, config_path, config: dict) -> None:
    """Write a table of properties (TSV) and the whole configuration (YAML)."""
    facts = machine()
    write_tsv(table_path, pd.DataFrame({"property": facts.keys(), "value": facts.values()}))
    with atomic_path(config_path) as partial:
        partial.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    run_job(main, snakemake)
