"""Time the losses and the frameworks' own ops side by side, each framework in its own process."""
