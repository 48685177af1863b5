"""Configuration, the list of runs and studies, and what each rule depends on."""
