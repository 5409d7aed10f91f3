"""Stories of staged rollouts, each on a whole fleet in one process and in virtual time."""
