"""A small language model, trained with its logits held and without, on PyTorch and on JAX."""
