"""The adapters, one folder a framework, found through the entry points `xentropy.backends`."""
