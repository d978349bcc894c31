"""The mathematics of the losses, value and gradient, written once on the array API standard."""
