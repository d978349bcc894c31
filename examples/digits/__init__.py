"""A classifier of handwritten digits, trained to one loss curve on four frameworks."""
