"""Robust LSTM autoencoder for occmask: the covered face is found and painted anew, then recognised.

Source: Zhao, Feng, Zhao, Yang, Yan: "Robust LSTM-Autoencoders for Face De-Occlusion in the Wild", IEEE TIP 27(2), 2018.
Importing this package imports nothing else; components come through their entry points.
"""
