"""Segmentation: the objective of IIC for every pixel of a picture."""
