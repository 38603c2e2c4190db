"""Training pairs made in whole batches on the device that trains, in plain torch.

One batch is a few hundred operations over tensors, whatever its size. Every parameter is drawn on the host, so that it
is known there which samples need which operation, and nothing waits for the device: that is why a rarely drawn
operation costs little, and why values go to the device but never come back.
"""
