"""Compare what the losses compute with slow truth and with the frameworks' own ops."""
