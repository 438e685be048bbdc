"""What the stored rows say: how trading goes, against what was promised, and why. Pure over the core."""
