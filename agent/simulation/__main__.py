"""`python -m agent.simulation`."""

from agent.simulation.command import run

if __name__ == "__main__":
    run()
