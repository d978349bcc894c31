"""The adapters, one folder a framework; each is found through the entry-point group `xentropy.backends`."""
